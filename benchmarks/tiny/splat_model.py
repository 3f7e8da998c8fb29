"""A tiny model registered with ffgs: every pixel becomes a Gaussian at a learned depth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from sphinx_framework_ffgs.loading import ffgs

SIDE = 32
package = ffgs()
from ffgs.geometry import ModelFrame  # noqa: E402  (ffgs needs torchvision to be prepared)
from ffgs.processor import ImageFitConfig, Prepared, Processor  # noqa: E402
from ffgs.registry import ModelSpec  # noqa: E402


class TinySplat(nn.Module, PyTorchModelHubMixin):
    """A Gaussian a pixel, about ``depth`` of the model's units in front of its photo."""

    def __init__(self, depth: float = 4.0) -> None:
        super().__init__()
        self.depth = depth
        self.offset = nn.Conv2d(3, 1, 1)

    def forward(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        """Means in the first camera's frame, sizes, and the photos' colours."""
        images, k, poses = given["images"], given["k"], given["poses"]  # [V ...]
        depth = self.depth + 0.01 * torch.tanh(self.offset(images))[:, 0]
        places = (torch.arange(SIDE, device=images.device) + 0.5) / SIDE
        y, x = torch.meshgrid(places, places, indexing="ij")
        rays = torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1) @ torch.linalg.inv(k).mT
        points = rays * depth.flatten(1)[..., None]
        world = points @ poses[:, :3, :3].mT + poses[:, None, :3, 3]
        width = depth.flatten(1) / (k[:, 0, 0, None] * SIDE)
        return {"means": world.flatten(0, 1), "size": width.flatten(), "colours": images}


@dataclass
class TinyConfig(ImageFitConfig):
    most_views: int = 4


class TinyProcessor(Processor):
    config_cls = TinyConfig

    def preprocess(self, views: Any, device: torch.device, **options: Any) -> Prepared:
        if views.images.shape[1] > self.config.most_views:
            raise ValueError(f"at most {self.config.most_views} views")
        fitted = self.fit_views(views, [SIDE, SIDE])
        frame = ModelFrame(anchor_c2w=views.c2w[:, 0], scale=2.0)
        poses = torch.linalg.inv(views.c2w[0, :1]) @ views.c2w[0]
        poses[:, :3, 3] *= 2.0
        given = {"images": fitted.images[0], "k": fitted.intrinsics[0], "poses": poses}
        return Prepared({key: value.to(device) for key, value in given.items()}, frame)

    def postprocess(self, raw: dict[str, Tensor]) -> Any:
        count = len(raw["means"])
        return package.Gaussians(
            means=raw["means"][None],
            scales=raw["size"][None, :, None].expand(-1, -1, 3) * 0.5,
            quats=torch.tensor([1.0, 0, 0, 0]).expand(1, count, 4),
            opacities=torch.full((1, count), 0.9),
            colors=raw["colours"].flatten(2).transpose(1, 2).flatten(0, 1)[None],
            sh_degree=None,
        )

    def render_planes(self, frame: Any) -> tuple[float, float]:
        return 0.1, 100.0


package.register_model(ModelSpec("tiny-splat", TinySplat, TinyProcessor))


def saved(folder: Path) -> Path:
    """The model with fixed random weights as the package saves it, in ``folder``."""
    torch.manual_seed(0)
    processor = TinyProcessor({"image_shape": [SIDE, SIDE]})
    package.GSPipeline(TinySplat(), processor, "tiny-splat").save_pretrained(folder)
    return folder
