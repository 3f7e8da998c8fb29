"""Stage 1: the photos as a plane far away, each pixel from the input that looks at it most."""

import torch
from torch import Tensor
from torch.nn import functional

from acceptance_plugin.options import ViewOptions
from sphinx_framework.plugin import Parts
from sphinx_framework.types import CoarseViews, Scene


class FarPlane:
    """Rays are turned, not shifted: right for what is infinitely far away."""

    def __init__(self, options: ViewOptions, device: torch.device, parts: Parts) -> None:
        self.options, self.device = options, device

    def predict(self, scene: Scene) -> CoarseViews:
        """Every target as a mean of the inputs that see each pixel."""
        views = [self._view(scene, target) for target in range(len(scene.targets))]
        images, seen = (torch.stack(part) for part in zip(*views, strict=True))
        return CoarseViews(images=images, opacity=(1 - self.options.softness) * seen)

    def _view(self, scene: Scene, target: int) -> tuple[Tensor, Tensor]:
        height, width = scene.images.shape[-2:]
        rows = torch.arange(height, device=self.device) + 0.5
        columns = torch.arange(width, device=self.device) + 0.5
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
        world = scene.targets.world_from_camera[target, :3, :3]
        rays = world @ torch.linalg.inv(scene.targets.intrinsics[target]) @ pixels
        local = scene.inputs.intrinsics @ scene.inputs.world_from_camera[:, :3, :3].mT @ rays
        depth = local[:, 2:].clamp(min=1e-3)
        place = local[:, :2] / depth / local.new_tensor([[width], [height]]) * 2 - 1
        grid = place.mT.unflatten(1, (height, width)).clamp(-9, 9)
        photos = functional.grid_sample(
            scene.images, grid, padding_mode="border", align_corners=False
        )
        inside = (grid.abs() <= 1).all(-1) & (local[:, 2] > 0).unflatten(1, (height, width))
        near = (scene.inputs.centres - scene.targets.centres[target]).square().sum(1)
        weights = inside / (near / near.mean().clamp(min=1e-9) + 0.1)[:, None, None]
        weights = weights + 1e-6
        mean = (photos * weights[:, None]).sum(0) / weights.sum(0)
        return mean.clamp(0, 1), inside.any(0).float()
