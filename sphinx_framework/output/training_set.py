"""Inputs and results as one posed set of pictures, to train a 3DGS on."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.geometry.pinhole import lift
from sphinx_framework.scenes.images import write_png
from sphinx_framework.splatting.harmonics import base_colours
from sphinx_framework.types import Cameras
from sphinx_framework.types.origin import NO_MOVE

MOST_POINTS = 50_000
_SEEN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Coloured points: coordinates of the world that the scene was read from, RGB in [0, 1].

    Double precision where that world's origin is far away.
    """

    places: Float[Tensor, "P 3"]
    colours: Float[Tensor, "P 3"]


def training_cameras(result: RenderResult) -> Cameras:
    """Cameras of the inputs, then of the targets, in the world that the scene was read from."""
    scene = result.scene
    inputs, targets = scene.in_world(scene.inputs), scene.in_world(scene.targets)
    return Cameras(
        world_from_camera=torch.cat([inputs.world_from_camera, targets.world_from_camera]),
        intrinsics=torch.cat([inputs.intrinsics, targets.intrinsics]),
        image_size=targets.image_size,
    )


def picture_names(result: RenderResult) -> list[str]:
    """File names in the order of :func:`training_cameras`."""
    inputs = [f"input_{index:03d}.png" for index in range(len(result.scene.inputs))]
    return inputs + [f"target_{index:03d}.png" for index in range(len(result.scene.targets))]


def write_pictures(folder: Path, result: RenderResult) -> None:
    """Write the pictures into a new folder."""
    folder.mkdir(parents=True)
    pictures = [*result.scene.images.cpu(), *result.images]
    for name, picture in zip(picture_names(result), pictures, strict=True):
        write_png(folder / name, picture)


def scene_points(result: RenderResult) -> Points | None:
    """Where surfaces are: the densest Gaussians, else the depth of the targets; at most 50,000."""
    coarse = result.coarse
    if coarse.gaussians is not None and len(coarse.gaussians.means):
        found = coarse.gaussians
        rows = found.opacities.argsort(descending=True, stable=True)[:MOST_POINTS]
        colours = base_colours(found.harmonics[rows]).cpu().float()
        return Points(places=_home(result, found.means[rows].cpu().float()), colours=colours)
    if coarse.depth is None:
        return None
    depth = coarse.depth.cpu().float()
    seen = torch.isfinite(depth) & (depth > 0)
    if coarse.opacity is not None:
        seen &= coarse.opacity.cpu() > _SEEN
    places = lift(result.scene.targets.to(torch.device("cpu")), depth)[seen]
    colours = coarse.images.cpu().permute(0, 2, 3, 1)[seen]
    step = max(1, -(-len(places) // MOST_POINTS))
    if not len(places):
        return None
    return Points(places=_home(result, places[::step]), colours=colours[::step])


def _home(result: RenderResult, places: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    origin = result.scene.origin
    return places if origin == NO_MOVE else places.double() + places.double().new_tensor(origin)
