"""Scenes that the score and the guard learn from or are measured on, and how they are stored.

In turns procedural ones (split ``train``, seeds that no other trainer saw), the same dressed in
photographs, and layered photographs (DATA.md); other splits are plain procedural scenes, and
captures pairs of frames of posed captures: for measures only, never trained on.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from photo_scenes import layers, path, photo_pool, rendered
from photo_textures import PhotoTextures
from render_scenes import FRAMES, SIDE
from torch import Tensor

from sphinx_framework.scenes.frame_pairs import captured
from sphinx_framework.types import Cameras, CoarseViews, Scene
from sphinx_framework_lite.scenes import world
from sphinx_framework_lite.scenes.generate import make_scene
from sphinx_framework_lite.scenes.textures import texture

MOST_TARGETS = 6


def layered(pool: list[Tensor], seed: int, side: int) -> Scene:
    """A layered scene of photographs, its first and last frame the inputs."""
    random = np.random.default_rng([seed, 20])
    planes = layers(pool, random)
    poses, k = path(random, (0.05, 1.3))
    images, depth = rendered(planes, poses, k, side)
    images = (images + random.normal(0, random.uniform(0, 0.012), images.shape)).clip(0, 1)
    frames = torch.from_numpy(images).float().permute(0, 3, 1, 2)
    k = k * np.float32([[side / SIDE], [side / SIDE], [1]])
    cameras = Cameras(
        world_from_camera=torch.from_numpy(poses),
        intrinsics=torch.from_numpy(k)[None].repeat(FRAMES, 1, 1),
        image_size=(side, side),
    )
    low, high = np.quantile(depth, [0.002, 0.998])
    ends, between = [0, FRAMES - 1], list(range(1, FRAMES - 1))
    return Scene(
        images=frames[ends], inputs=cameras[ends], targets=cameras[between],
        target_images=frames[between], near=float(0.9 * low), far=float(1.1 * min(high, 40)),
        name=f"layered {seed}",
    )  # fmt: skip


def drawn(options: argparse.Namespace) -> Iterator[tuple[int, Scene]]:
    """The scenes that are not stored yet."""
    if options.captures:
        size = (options.side, options.side)
        yield from enumerate(
            scene
            for argument in options.captures
            for scene in captured(argument, size, most_targets=MOST_TARGETS)
        )
        return
    photos = PhotoTextures(options.photos) if options.photos else None
    pool = photo_pool(options.photos) if options.photos else []
    for index in range(options.first, options.first + options.count):
        if (options.out / f"{index:04d}.npz").exists():
            continue
        kind = index % 3 if photos is not None else 0
        if kind == 2:
            yield index, layered(pool, 500000 + index, options.side)
            continue
        world.texture = texture  # type: ignore[assignment]
        if photos is not None and kind == 1:
            photos.dress(None, index)
        size = (options.side, options.side)
        seed = index if options.split != "train" else 60000 + index
        yield index, make_scene(seed, split=options.split, size=size, targets=6)


def stored(scene: Scene, coarse: CoarseViews, found: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Everything of a scene as arrays, images as 8-bit."""
    assert scene.target_images is not None
    assert coarse.opacity is not None
    assert coarse.depth is not None

    def bytes_of(images: Tensor) -> np.ndarray:
        return (images.clamp(0, 1) * 255).round().byte().numpy()

    poses = torch.cat([scene.inputs.world_from_camera, scene.targets.world_from_camera])
    return {
        "inputs": bytes_of(scene.images),
        "truth": bytes_of(scene.target_images),
        "poses": poses.numpy(),
        "intrinsics": torch.cat([scene.inputs.intrinsics, scene.targets.intrinsics]).numpy(),
        "opacity": coarse.opacity.half().numpy(),
        "depth": coarse.depth.numpy(),
        "names": np.array(list(found)),
        "systems": np.stack([bytes_of(images) for images in found.values()]),
    }
