"""Small posed scenes for contract suites: random photos on a track, and a textured room."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from sphinx_framework.testing.fakes import scene_on_track
from sphinx_framework.types import Cameras, Scene


def yawed(degrees: Tensor) -> Tensor:
    """Rotation matrices about the y axis (x right, y down, z forward), ``[V, 3, 3]``."""
    angle = torch.deg2rad(degrees)
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c], dim=1).unflatten(1, (3, 3))


def track_cameras(count: int, size: tuple[int, int]) -> Cameras:
    """Cameras on a bent track that turn by 12 degrees, with principal points off the centre."""
    height, width = size
    along = torch.linspace(0, 1, count)
    poses = torch.eye(4).repeat(count, 1, 1)
    poses[:, :3, :3] = yawed(-6 + 12 * along)
    poses[:, :3, 3] = torch.stack([0.5 * along, 0.05 * along**2, 0.1 * along], dim=1)
    k = torch.tensor([[0.9 * width, 0, 0.53 * width], [0, 0.9 * width, 0.48 * height], [0, 0, 1]])
    return Cameras(world_from_camera=poses, intrinsics=k.repeat(count, 1, 1), image_size=size)


def track_scene(targets: int, inputs: int, size: tuple[int, int], seed: int) -> Scene:
    """Smooth random photos with some grain; the inputs are the track's ends, and between them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(inputs, 3, 6, 6, generator=generator)
    images = functional.interpolate(coarse, size, mode="bilinear", align_corners=True)
    images = (images + 0.04 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    return scene_on_track(images, track_cameras(inputs + targets, size), f"track-{seed}")


def moved_world(scene: Scene) -> Scene:
    """The scene with its world frame turned by 40 degrees about y, tilted, and shifted."""
    turn = torch.eye(4)
    tilt = torch.tensor([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    turn[:3, :3] = yawed(torch.tensor([40.0]))[0] @ tilt
    turn[:3, 3] = torch.tensor([0.7, -1.1, 0.4])

    def moved(cameras: Cameras) -> Cameras:
        world = turn.to(cameras.world_from_camera)
        return replace(cameras, world_from_camera=world @ cameras.world_from_camera)

    return replace(scene, inputs=moved(scene.inputs), targets=moved(scene.targets))


def room_scene(views: int = 4, size: tuple[int, int] = (160, 208), seed: int = 0) -> Scene:
    """A textured room with a block in it, seen by cameras whose poses are exact.

    The first and last views are inputs; the others are targets with their ground truth.
    """
    generator = torch.Generator().manual_seed(seed)
    walls = [_texture(generator) for _ in range(9)]
    cameras = track_cameras(views, size)
    shift = cameras.world_from_camera.clone()
    shift[:, :3, 3] *= 1.6
    cameras = replace(cameras, world_from_camera=shift)
    images = torch.stack([_view(cameras, view, walls) for view in range(views)])
    ends, rest = [0, views - 1], list(range(1, views - 1))
    return Scene(
        images=images[ends],
        inputs=cameras[ends],
        targets=cameras[rest],
        name=f"room-{seed}",
        near=0.8,
        far=8.0,
        target_images=images[rest],
        order=tuple(float(i) for i in (*ends, *rest)),
    )


def _texture(generator: torch.Generator) -> Tensor:
    """Colours of several scales, ``[3, 256, 256]`` in [0, 1]."""
    total = torch.zeros(3, 256, 256)
    for cells in (8, 24, 64, 128):
        noise = torch.rand(1, 3, cells, cells, generator=generator)
        total += functional.interpolate(noise, (256, 256), mode="bicubic")[0] / 4
    return ((total - 0.5) * 2 + 0.5).clamp(0, 1)


def _view(cameras: Cameras, index: int, textures: list[Tensor]) -> Tensor:
    """Ray trace one camera: six walls of a room, three faces of a block."""
    height, width = cameras.image_size
    k, pose = cameras.intrinsics[index], cameras.world_from_camera[index]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    rays = torch.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], torch.ones_like(x)], -1)
    rays = rays @ pose[:3, :3].T
    nearest = torch.full((height, width), 1e6)
    image = torch.zeros(3, height, width)
    # (axis, place along it, limits of the two other axes): a room of 6 x 4 x 8 units, and a block.
    wide, tall, deep = (-3.0, 3.0), (-2.0, 2.0), (-2.0, 6.0)
    faces = [
        (0, -3.0, tall, deep), (0, 3.0, tall, deep), (1, -2.0, wide, deep), (1, 2.0, wide, deep),
        (2, 6.0, wide, tall), (2, -2.0, wide, tall),
        (2, 2.5, (-0.6, 0.5), (0.0, 2.0)), (0, -0.6, (0.0, 2.0), (2.5, 3.3)),
        (0, 0.5, (0.0, 2.0), (2.5, 3.3)),
    ]  # fmt: skip
    for texture, (axis, place, first, second) in zip(textures, faces, strict=True):
        along = rays[..., axis]
        t = (place - pose[axis, 3]) / torch.where(along.abs() < 1e-9, 1e-9, along)
        point = pose[:3, 3] + t[..., None] * rays
        others = [i for i in range(3) if i != axis]
        u, v = (
            2 * (point[..., i] - low) / (high - low) - 1
            for i, (low, high) in zip(others, (first, second), strict=True)
        )
        seen = (t > 1e-3) & (t < nearest) & (u.abs() <= 1) & (v.abs() <= 1)
        colours = functional.grid_sample(
            texture[None], torch.stack([u, v], -1)[None], align_corners=False, padding_mode="border"
        )[0]
        image = torch.where(seen, colours, image)
        nearest = torch.where(seen, t, nearest)
    return image
