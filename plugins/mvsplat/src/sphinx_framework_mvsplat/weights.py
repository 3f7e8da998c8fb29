"""Official checkpoints, local files or seeded noise into an encoder."""

from collections.abc import Mapping

from torch import Tensor, nn

from sphinx_framework.weights import Pin, Source, load_strictly, randomise, read_tensors
from sphinx_framework_mvsplat.config import MVSplatConfig

WHAT = "mvsplat"
OFFICIAL = {"re10k": Pin(file="re10k.ckpt"), "acid": Pin(file="acid.ckpt")}
PREFIX = "encoder."
DOWNLOAD = (
    "it from https://drive.google.com/drive/folders/14_E_5R6ojOWnLSrSVLVEMHnTiKsfddjU (linked from "
    "the README of donydchen/mvsplat)"
)


def load_weights(network: nn.Module, config: MVSplatConfig) -> None:
    """Fill ``network`` as ``config.weights`` says; its tensors may still be on the meta device.

    Raises:
        WeightsError: the file is missing, unreadable, not the one that ``weights_sha256`` names,
            or holds other tensors than the network's.
    """
    if config.weights == "random":
        randomise(network, config.seed)
        return
    path = Source(
        what=WHAT,
        weights=config.weights,
        options=config,
        official=OFFICIAL,
        variable="SPHINX_MVSPLAT_WEIGHTS",
        download=DOWNLOAD,
    ).path()
    state = encoder_state(read_tensors(path, WHAT, training=True))
    load_strictly(network, state, f"{WHAT}: {path}")


def encoder_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors of a Lightning checkpoint, or all of a plain state dict."""
    encoder = {k.removeprefix(PREFIX): v for k, v in tensors.items() if k.startswith(PREFIX)}
    return encoder or dict(tensors)
