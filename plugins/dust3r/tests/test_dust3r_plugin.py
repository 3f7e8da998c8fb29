import subprocess
import sys

import pytest
from pydantic import ValidationError

from sphinx_framework_dust3r.config import (
    AlignmentConfig,
    DUSt3RConfig,
    DUSt3RRegressionConfig,
    NetworkConfig,
)
from sphinx_framework_dust3r.plugin import sphinx_framework_components


def test_declaring_the_component_imports_no_torch() -> None:
    program = (
        "import sys, sphinx_framework_dust3r.plugin as p, sphinx_framework_dust3r.config;"
        "p.sphinx_framework_components();"
        "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_weights_are_declared_non_commercial() -> None:
    specs = sphinx_framework_components()
    assert [(spec.kind, spec.name) for spec in specs] == [
        ("regression", "dust3r"),
        ("poses", "dust3r"),
    ]
    for spec in specs:
        assert spec.licence == "Apache-2.0"
        assert spec.weights_licence == "CC-BY-NC-SA-4.0"
        assert spec.non_commercial


@pytest.mark.parametrize(
    "options", [{"pairs": "swin"}, {"pairs": "oneref-x"}, {"image_size": 8}, {"unknown": 1}]
)
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DUSt3RConfig.model_validate(options)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of 4"):
        NetworkConfig(encoder_width=30, encoder_heads=4)


def test_changing_one_alignment_option_keeps_the_others_of_the_regression_model() -> None:
    changed = DUSt3RRegressionConfig.model_validate({"alignment": {"schedule": "linear"}})
    assert changed.alignment.learning_rate < AlignmentConfig().learning_rate
