"""Small camera helpers that the embedded models share (OpenCV axes, pixel centres at +0.5)."""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.types import Cameras, Scene

# Depth range over the input baseline, for scenes that do not say what depths they hold.
NEAR_BASELINES, FAR_BASELINES = 0.6, 20.0


def depth_range(scene: Scene) -> tuple[float, float]:
    """Near and far of a scene in its units; estimated from the inputs' baseline if unknown.

    Raises:
        SceneError: if there is neither a range nor a baseline, or the range is empty.
    """
    near, far = scene.near, scene.far
    if near is None or far is None:
        centres = scene.inputs.centres
        baseline = float(_distances(centres, centres).max())
        if baseline <= 0:
            raise SceneError(
                "the input cameras share one centre, so no depth can be measured.",
                hint="Give two photos taken from different places, or near and far of the scene.",
            )
        near = NEAR_BASELINES * baseline if near is None else near
        far = FAR_BASELINES * baseline if far is None else far
    if not 0 < near < far:
        raise SceneError(
            f"the depth range near={near:g}, far={far:g} is empty.", hint="Need 0 < near < far."
        )
    return near, far


def _distances(one: Float[Tensor, "A 3"], other: Float[Tensor, "B 3"]) -> Float[Tensor, "A B"]:
    """Distances of centres, not by ``cdist``: from 25 on that is a product of matrices, rounded."""
    return (one[:, None].double() - other[None].double()).norm(dim=-1).to(one.dtype)


def scaled_intrinsics(cameras: Cameras, size: tuple[int, int]) -> Float[Tensor, "V 3 3"]:
    """Intrinsics for the same views resized to ``size`` = (height, width)."""
    height, width = cameras.image_size
    scale = cameras.intrinsics.new_tensor([size[1] / width, size[0] / height, 1.0])
    return cameras.intrinsics * scale[:, None]


def pixel_grid(height: int, width: int, like: Tensor) -> Float[Tensor, "3 hw"]:
    """Homogeneous pixel centres, row-major."""
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=like.dtype) + 0.5,
        torch.arange(width, device=like.device, dtype=like.dtype) + 0.5,
        indexing="ij",
    )
    return torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)


def nearest_inputs(
    targets: Float[Tensor, "T 4 4"], inputs: Float[Tensor, "N 4 4"], count: int
) -> list[list[int]]:
    """The ``count`` inputs closest to every target, by distance and viewing direction."""
    apart = _distances(targets[:, :3, 3], inputs[:, :3, 3])
    scale = _distances(inputs[:, :3, 3], inputs[:, :3, 3]).max().clamp(min=1e-9)
    facing = targets[:, :3, 2] @ inputs[:, :3, 2].T
    cost = apart / scale + (1 - facing)
    order: list[list[int]] = cost.argsort(dim=1, stable=True)[:, :count].tolist()
    return order
