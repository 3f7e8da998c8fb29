"""LPIPS (Zhang et al. 2018), where the optional package and its weights are on this machine.

Nothing is downloaded: a study must neither wait for a network nor pass with other weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.quiet import quiet_warnings

Distance = Callable[[Float[Tensor, "T 3 H W"], Float[Tensor, "T 3 H W"]], Float[Tensor, " T"]]
BACKBONE_PATTERN = "alexnet-*.pth"
# AlexNet leaves nothing of images below 31 pixels.
SMALLEST_LPIPS_SIDE = 32
FETCH = "python -c \"import lpips; lpips.LPIPS(net='alex')\""


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptual:
    """The distance, or ``None`` and why there is none."""

    distance: Distance | None
    note: str


def load_lpips(device: torch.device) -> Perceptual:
    """Load LPIPS with the AlexNet backbone (smaller is closer; images in [0, 1])."""
    try:
        import lpips  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except Exception as error:  # a torchvision that does not fit torch fails in many ways
        return _absent(f"the package lpips cannot be imported ({_first(error)})")
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not any(folder.glob(BACKBONE_PATTERN)):
        return _absent(f"its AlexNet weights are not here; fetch them once with: {FETCH}")
    try:
        with quiet_warnings():  # torchvision's deprecated arguments, inside lpips
            network = lpips.LPIPS(net="alex", verbose=False).eval().to(device)
    except Exception as error:
        return _absent(f"lpips could not be built ({_first(error)})")

    @torch.no_grad()
    def distance(
        images: Float[Tensor, "T 3 H W"], truth: Float[Tensor, "T 3 H W"]
    ) -> Float[Tensor, " T"]:
        values: Tensor = network(images.to(device) * 2 - 1, truth.to(device) * 2 - 1)
        return values.reshape(len(images)).cpu()

    return Perceptual(distance=distance, note="LPIPS: AlexNet backbone, version 0.1.")


@lru_cache(maxsize=1)
def report_lpips() -> Distance | None:
    """The distance on the CPU for reports, loaded once a process; ``None`` where there is none."""
    if find_spec("lpips") is None:
        return None
    return load_lpips(torch.device("cpu")).distance


def _absent(reason: str) -> Perceptual:
    return Perceptual(distance=None, note=f"LPIPS: not measured, {reason}.")


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
