"""Plans of a frame as text."""

import pytest

from sphinx_framework.frame_plan import FramePlan, full_diffusion


@pytest.mark.parametrize(
    "text", ["0x1", "0x3:dpmpp_2m", "0", "20x2", "40", "50", full_diffusion(50).text()]
)
def test_a_plan_is_read_back_from_its_text(text: str) -> None:
    assert FramePlan.parse(text).text() == text


def test_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match="is no plan"):
        FramePlan.parse("early")
