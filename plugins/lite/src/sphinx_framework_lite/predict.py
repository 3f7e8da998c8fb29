"""From a scene to per-source renders: depth of the inputs, then splats at the targets.

Both the regression model and the diffusion model's condition use this.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import SceneError
from sphinx_framework.types import Cameras, Scene
from sphinx_framework_lite.depth import MULTIPLE, DepthNetwork, place_to_depth
from sphinx_framework_lite.geometry import depth_range, nearest_inputs, scaled_intrinsics
from sphinx_framework_lite.photometric import refined_depth
from sphinx_framework_lite.silhouettes import doubt_hanging
from sphinx_framework_lite.splat import Splats, splat_view

NEIGHBOURS = 2
SOURCES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class InputDepth:
    """Depth of every input at the scene's own size; confidence in [0, 1]."""

    depth: Float[Tensor, "N H W"]
    confidence: Float[Tensor, "N H W"]


def _working_size(size: tuple[int, int], shorter_side: int) -> tuple[int, int]:
    scale = min(1.0, shorter_side / min(size))
    height, width = (max(MULTIPLE, round(s * scale / MULTIPLE) * MULTIPLE) for s in size)
    return height, width


@torch.no_grad()
def input_depth(
    network: DepthNetwork, scene: Scene, shorter_side: int = 128, photometric: bool = True
) -> InputDepth:
    """Estimate the depth of all inputs, each matched against its nearest other inputs.

    shorter_side: larger images are resized inside (the network was trained at 96 pixels).
    photometric: the network's depth is moved to where the photos agree. Where depth hangs between
    two surfaces, confidence is too low for it to hide anything.

    Raises:
        SceneError: with fewer than two inputs, or no usable depth range.
    """
    count = len(scene.inputs)
    if count < 2:
        raise SceneError(
            "the lite models measure depth from two photos, but the scene has 1 input.",
            hint="Add a second posed photo, or choose a regression model for single photos.",
        )
    near, far = depth_range(scene)
    size = tuple(scene.images.shape[-2:])
    work = _working_size((size[0], size[1]), shorter_side)
    images = functional.interpolate(scene.images, work, mode="bilinear", antialias=True)
    poses = scene.inputs.world_from_camera
    around = nearest_inputs(poses, poses, min(count, NEIGHBOURS + 1))
    neighbours = [[j for j in row if j != i][:NEIGHBOURS] for i, row in enumerate(around)]
    limits = poses.new_tensor([[near], [far]])
    out = network(
        images[None],
        poses[None],
        scaled_intrinsics(scene.inputs, work)[None],
        limits[0],
        limits[1],
        neighbours,
    )
    place = out.place[0].float().clamp(0, 1.2)
    confidence = torch.sigmoid(out.confidence_logit[0].float())
    both = torch.stack([place, confidence], dim=1)
    if work != size:
        both = functional.interpolate(both, size, mode="bilinear")
    depth = place_to_depth(both[:, 0], limits[0, 0], limits[1, 0])
    if photometric:
        depth = refined_depth(scene.images, scene.inputs, depth, neighbours)
    return InputDepth(depth=depth, confidence=doubt_hanging(depth, both[:, 1]))


def _halved(scene: Scene, found: InputDepth, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    if stride == 1:
        return scene.images, found.depth, found.confidence
    pooled = functional.avg_pool2d(
        torch.cat([scene.images, (1 / found.depth)[:, None], found.confidence[:, None]], 1), stride
    )
    return pooled[:, :3], 1 / pooled[:, 3], pooled[:, 4]


def source_renders(
    scene: Scene, found: InputDepth, targets: Cameras, stride: int = 1
) -> list[Splats]:
    """Render each of the nearest inputs of every target on its own.

    Entry ``s`` holds, for every target, its ``s``-th nearest input (``SOURCES`` entries).
    stride: 2 splats at half size (one Gaussian for 2x2 pixels) and enlarges the renders.
    """
    images, depth, confidence = _halved(scene, found, stride)
    size = (depth.shape[-2], depth.shape[-1])
    k = scaled_intrinsics(scene.inputs, size)
    target_k = scaled_intrinsics(targets, size)
    nearest = nearest_inputs(targets.world_from_camera, scene.inputs.world_from_camera, SOURCES)
    shape = (SOURCES, len(targets))
    colours = images.new_zeros(*shape, 3, *size)
    opacity, z = images.new_zeros(*shape, *size), images.new_zeros(*shape, *size)
    for source in range(len(scene.inputs)):
        uses = [(s, t) for t, row in enumerate(nearest) for s, i in enumerate(row) if i == source]
        if not uses:
            continue
        slots = torch.tensor([s for s, _ in uses])
        chosen = torch.tensor([t for _, t in uses])
        splats = splat_view(
            images[source],
            depth[source],
            confidence[source],
            scene.inputs.world_from_camera[source],
            k[source],
            targets.world_from_camera[chosen],
            target_k[chosen],
            size,
        )
        colours[slots, chosen] = splats.images
        opacity[slots, chosen] = splats.opacity
        z[slots, chosen] = splats.depth
    if stride > 1:
        full = scene.images.shape[-2:]
        # Empty cells hold no colour: they must not bleed into their neighbours.
        landed = (opacity > 0).to(colours.dtype)[:, :, None]
        joined = torch.cat(
            [colours * landed, z[:, :, None] * landed, opacity[:, :, None], landed], 2
        )
        joined = functional.interpolate(joined.flatten(0, 1), full, mode="bilinear")
        joined = joined.unflatten(0, shape)
        share = joined[:, :, 5:].clamp(min=1e-3)
        colours, opacity, z = (
            joined[:, :, :3] / share,
            joined[:, :, 4],
            (joined[:, :, 3:4] / share)[:, :, 0],
        )
    return [Splats(images=colours[s], opacity=opacity[s], depth=z[s]) for s in range(SOURCES)]


def source_closeness(scene: Scene, targets: Cameras) -> Float[Tensor, "S T"]:
    """Weight of each target's nearest inputs: inverse of the squared camera distance."""
    nearest = nearest_inputs(targets.world_from_camera, scene.inputs.world_from_camera, SOURCES)
    index = torch.tensor(nearest, device=targets.centres.device).T
    distance = (scene.inputs.centres[index] - targets.centres[None]).norm(dim=-1)
    scale = distance.sum(dim=0, keepdim=True).clamp(min=1e-9)
    weight = 1 / (distance / scale + 0.05) ** 2
    closeness: Tensor = weight / weight.sum(dim=0, keepdim=True)
    return closeness
