"""When the authors' partial denoising runs a full pass, as the golden of their run says."""

import re
from typing import Any


def full_pass_rule(info: dict[str, Any]) -> tuple[int, int]:
    """Full passes are every how many steps, and from which step on all of them."""
    found = re.fullmatch(r"i % (\d+) == 0 or i >= (\d+)", info["full_pass_rule"])
    assert found is not None, info["full_pass_rule"]
    return int(found[1]), int(found[2])
