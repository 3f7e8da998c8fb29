"""The official checkpoint, a local file or seeded noise into the network."""

import torch
from torch import nn

from sphinx_framework.weights import Pin, Source, load_strictly, randomise, read_tensors
from sphinx_framework_sharp.config import SharpConfig

WHAT = "sharp"
FILE = "sharp_2572gikvuh.pt"
DOWNLOAD = (
    f"https://ml-site.cdn-apple.com/models/sharp/{FILE} (Apple's research licence: not for "
    "commercial use)"
)


def load_weights(network: nn.Module, config: SharpConfig) -> None:
    """Fill ``network``, which may be on the meta device, as ``config.weights`` says.

    Raises:
        WeightsError: the file is missing, unreadable, not the one that ``weights_sha256`` names,
            or holds other tensors than the network's.
    """
    if config.weights == "random":
        randomise(network, config.seed)
        _in_sight(network)
        return
    path = Source(
        what=WHAT,
        weights=config.weights,
        options=config,
        official={"sharp": Pin(file=FILE)},
        variable="SPHINX_SHARP_WEIGHTS",
        download=DOWNLOAD,
    ).path()
    load_strictly(network, read_tensors(path, WHAT), f"{WHAT}: {path}")


@torch.no_grad()
def _in_sight(network: nn.Module) -> None:
    """A disparity of 0 everywhere would put all content of random weights at the far end."""
    for name, parameter in network.named_parameters():
        if name.endswith("head.4.bias"):
            parameter.fill_(1.0)
