"""A result in viser's 3-D scene: photos, targets, their path, Gaussians; sizes that fit."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.geometry.rotations import quaternions_from_matrices
from sphinx_framework.scenes.images import read_image, to_uint8
from sphinx_framework.splatting.harmonics import base_colours
from sphinx_framework.splatting.ply import read_ply
from sphinx_framework.types import Cameras, Gaussians
from sphinx_framework.view.folder import ViewedResult, cameras_of

PHOTO, PATH, NOW = (11, 87, 164), (166, 61, 6), (220, 30, 30)
FAINTEST = 0.02


@dataclass(slots=True)
class Space:
    """Handles of what is shown, by kind.

    size: a length to draw cameras with. eye: where a visitor first stands, and looks.
    """

    photos: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)
    splats: list[Any] = field(default_factory=list)
    size: float = 1.0
    eye: tuple[np.ndarray, np.ndarray] = (np.zeros(3), np.zeros(3))


def build_space(server: Any, result: ViewedResult) -> Space:
    """Fill the scene of a viser server."""
    targets = cameras_of(result)
    known = [targets] if result.inputs is None else [result.inputs.inputs, targets]
    space = Space(size=_size(known))
    up = -torch.cat([c.world_from_camera[:, :3, 1] for c in known]).mean(dim=0)
    server.scene.set_up_direction(tuple(up.tolist()))
    if result.inputs is not None:
        for index, image in enumerate(result.inputs.images):
            frustum = _frustum(server, f"/photos/{index}", result.inputs.inputs, index, PHOTO)
            frustum.image = pixels(image)
            frustum.scale = 0.6 * space.size
            space.photos.append(frustum)
    for index in range(len(targets)):
        frustum = _frustum(server, f"/targets/{index}", targets, index, PATH)
        frustum.scale = 0.25 * space.size
        space.targets.append(frustum)
    if len(targets) > 1:
        centres = targets.centres.numpy()
        lines = np.stack([centres[:-1], centres[1:]], axis=1)
        colours = np.broadcast_to(np.array(PATH, np.uint8), lines.shape)
        space.targets.append(server.scene.add_line_segments("/path", lines, colours, line_width=2))
    depth = 6 * space.size
    if result.splats is not None:
        gaussians = _dense(read_ply(result.splats, origin=result.origin))
        space.splats.append(_splats(server, gaussians))
        depth = _depth(known[0], gaussians, depth)
    space.eye = _eye(known[0], up, depth)
    return space


def stand(camera: Any, targets: Cameras, index: int) -> None:
    """Move a visitor's camera to a target's."""
    camera.wxyz = _quaternion(targets, index)
    camera.position = targets.centres[index].numpy()
    camera.fov = field_of_view(targets, index)


def field_of_view(cameras: Cameras, index: int) -> float:
    """Vertical angle in radians."""
    height = cameras.image_size[0]
    return 2 * float(np.arctan(height / 2 / float(cameras.intrinsics[index, 1, 1])))


def pixels(image: Float[Tensor, "3 H W"]) -> np.ndarray:
    """8-bit RGB, ``[H, W, 3]``."""
    return to_uint8(image).permute(1, 2, 0).numpy()


def picture(path: Any) -> np.ndarray:
    """The pixels of a PNG of the result."""
    return pixels(read_image(path))


def _frustum(
    server: Any, name: str, cameras: Cameras, index: int, colour: tuple[int, int, int]
) -> Any:
    height, width = cameras.image_size
    return server.scene.add_camera_frustum(
        name,
        fov=field_of_view(cameras, index),
        aspect=width / height,
        color=colour,
        wxyz=_quaternion(cameras, index),
        position=cameras.centres[index].numpy(),
    )


def _quaternion(cameras: Cameras, index: int) -> np.ndarray:
    rotation = cameras.world_from_camera[index : index + 1, :3, :3].double()
    return quaternions_from_matrices(rotation)[0].numpy()


def _dense(gaussians: Gaussians) -> Gaussians:
    """Without those too faint to see."""
    seen = gaussians.opacities > FAINTEST
    return Gaussians(
        means=gaussians.means[seen],
        covariances=gaussians.covariances[seen],
        harmonics=gaussians.harmonics[seen],
        opacities=gaussians.opacities[seen],
    )


def _splats(server: Any, gaussians: Gaussians) -> Any:
    return server.scene.add_gaussian_splats(
        "/gaussians",
        centers=gaussians.means.numpy(),
        covariances=gaussians.covariances.numpy(),
        rgbs=base_colours(gaussians.harmonics).numpy(),
        opacities=gaussians.opacities[:, None].numpy(),
    )


def _depth(cameras: Cameras, gaussians: Gaussians, spare: float) -> float:
    """Median distance of what lies in front of the first camera."""
    pose = cameras.world_from_camera[0]
    along = (gaussians.means - pose[:3, 3]) @ pose[:3, 2]
    ahead = along[along > 0]
    return float(ahead.median()) if len(ahead) else spare


def _eye(cameras: Cameras, up: Float[Tensor, "3"], depth: float) -> tuple[np.ndarray, np.ndarray]:
    """Behind and above the cameras, looking where they look."""
    forward = torch.nn.functional.normalize(cameras.world_from_camera[:, :3, 2].mean(dim=0), dim=0)
    centre = cameras.centres.mean(dim=0)
    aside = torch.linalg.cross(forward, up)
    place = centre - 0.7 * depth * forward + 0.4 * depth * up + 0.35 * depth * aside
    return place.numpy(), (centre + depth * forward).numpy()


def _size(known: list[Cameras]) -> float:
    """A length to draw cameras with: the cameras' spread, or 1 where they all stand together."""
    centres = torch.cat([cameras.centres for cameras in known])
    spread = float((centres - centres.mean(dim=0)).norm(dim=1).max())
    return 0.5 * spread if spread > 0 else 1.0
