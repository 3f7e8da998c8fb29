"""Depth maps of the regression stage: 16-bit PNG for tools, float32 for arithmetic.

Depth is camera z in scene units (not the length of the ray); 0 says that nothing is known.
``depth.json`` states what one step of the PNG is worth: ``depth = value * scale``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sphinx_framework.errors import SceneError

LARGEST = 65535
ABOUT = "depth.json"
NUMBERS = "depth.npz"


def write_depth(folder: Path, depth: Float[Tensor, "T H W"]) -> None:
    """Write ``000.png`` ..., ``depth.npz`` (key ``depth``) and ``depth.json`` into a new folder.

    All PNGs share one scale, so that the largest depth is 65535; what is known is at least 1.
    """
    values = depth.detach().float().cpu()
    known = torch.isfinite(values) & (values > 0)
    values = torch.where(known, values, 0.0)
    scale = float(values.double().max()) / LARGEST or 1.0 / LARGEST
    steps = torch.where(known, (values.double() / scale).round().clamp(1, LARGEST), 0.0)
    folder.mkdir()
    for index, one in enumerate(steps.numpy().astype(np.uint16)):
        Image.fromarray(one).save(folder / f"{index:03d}.png")
    np.savez_compressed(folder / NUMBERS, depth=values.numpy())
    about = {
        "scale": scale,
        "unit": "scene units",
        "meaning": "camera z = value * scale, along the optical axis; 0 = unknown",
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def read_depth(folder: Path) -> Float[Tensor, "T H W"]:
    """Read the PNGs that :func:`write_depth` wrote, in scene units, to half a step.

    Raises:
        SceneError: a file is missing or not as :func:`write_depth` leaves it.
    """
    try:
        scale = float(json.loads((folder / ABOUT).read_text(encoding="utf-8"))["scale"])
        stacked = np.stack([_pixels(file) for file in sorted(folder.glob("[0-9]*.png"))])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(
            f"{folder}: holds no depth maps as written by a render ({error})."
        ) from None
    return torch.from_numpy(stacked * scale).float()


def _pixels(file: Path) -> Float[np.ndarray, "H W"]:
    with Image.open(file, formats=["PNG"]) as image:
        return np.asarray(image).astype(np.float64)
