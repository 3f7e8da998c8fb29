import subprocess
import sys

import pytest
from pydantic import ValidationError

from sphinx_framework_mvsplat.config import EncoderConfig, MVSplatConfig
from sphinx_framework_mvsplat.plugin import sphinx_framework_components


def test_official_sizes_are_legal_at_multiples_of_sixteen():
    assert EncoderConfig().legal_multiple == 16
    assert EncoderConfig().raw_channels == 84


def test_deeper_networks_need_larger_multiples():
    assert EncoderConfig(depth_unet_channel_mult=(1,) * 6).legal_multiple == 32
    assert EncoderConfig(multiview_trans_attn_split=3).legal_multiple == 48


@pytest.mark.parametrize(
    "options",
    [
        {"near": 5.0, "far": 2.0},
        {"size_rule": "guess"},
        {"encoder": {"unet_head_channels": 24}},
        {"encoder": {"gaussian_scale_min": 20.0}},
        {"wieghts": "re10k"},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValidationError):
        MVSplatConfig.model_validate(options)


def test_every_option_is_described():
    for model in (EncoderConfig, MVSplatConfig):
        for name, field in model.model_fields.items():
            assert field.description, name


def test_listing_the_plugin_loads_no_torch():
    code = (
        "import sys, sphinx_framework_mvsplat.plugin as p, sphinx_framework_mvsplat.config\n"
        "p.sphinx_framework_components()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_component_names_its_licences():
    (spec,) = sphinx_framework_components()
    assert (spec.kind, spec.name, spec.licence) == ("regression", "mvsplat", "Apache-2.0")
    assert spec.weights_licence == "NOASSERTION"
