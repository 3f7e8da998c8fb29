"""Where each target was to be refined, as 8-bit PNG: 255 refine, 0 keep."""

from pathlib import Path

from PIL import Image
from torch import Tensor


def write_masks(folder: Path, mask: Tensor) -> None:
    """Write bool masks ``[T, H, W]`` as ``000.png`` ... of a new folder."""
    folder.mkdir()
    for index, one in enumerate(mask.cpu().numpy()):
        Image.fromarray(one.astype("uint8") * 255).save(folder / f"{index:03d}.png")
