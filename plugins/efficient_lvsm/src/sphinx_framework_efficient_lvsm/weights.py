"""Checkpoints or seeded noise as a network."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sphinx_framework.weights import Pin, Source, load_strictly, randomise, read_tensors
from sphinx_framework_efficient_lvsm.config import (
    OFFICIAL_PATCH,
    EfficientLVSMConfig,
    NetworkConfig,
)
from sphinx_framework_efficient_lvsm.network import EfficientLVSMNetwork

WHAT = "efficient-lvsm"
# The authors' file names; no repository that has them is known.
OFFICIAL = {
    name: Pin(file=f"efficient_lvsm_{name}.pt") for name in ("res256", "res512", "inc_demo")
}
STRIPPED = ("module.", "_orig_mod.")
# Parts of the training module that rendering does not use.
DROPPED = ("loss_computer.", "repa_encoder.", "repa_projector.", "align_projector.")
TOKENIZER = "rgbp_tokenizer.1.weight"
WAYS = (
    "Give the path of a .pt or .safetensors file as weights, or weights_repo and weights_revision "
    "of a Hugging Face repository that has it, or 'random' (noise: for tests and timing)."
)


def loaded_network(config: EfficientLVSMConfig) -> EfficientLVSMNetwork:
    """The network with weights as ``config`` says, on the CPU, in float32.

    Raises:
        WeightsError: there is no checkpoint, or it is unreadable, not the one that
            ``weights_sha256`` names, or holds other tensors than the network's.
    """
    if config.weights == "random":
        network = _empty(config.network)
        randomise(network, config.seed)
        return network
    path = Source(
        what=WHAT, weights=config.weights, options=config, official=OFFICIAL, hint=WAYS
    ).path()
    state = network_state(read_tensors(path, WHAT, prefixes=STRIPPED, hint=WAYS))
    sizes = config.network
    if sizes.patch_size is None:
        sizes = sizes.model_copy(update={"patch_size": patch_size(state)})
    network = _empty(sizes)
    load_strictly(network, state, f"{WHAT}: {path}")
    return network


def network_state(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What rendering uses of a training checkpoint."""
    return {key: value for key, value in tensors.items() if not key.startswith(DROPPED)}


def patch_size(state: Mapping[str, Tensor]) -> int:
    """Side of a patch from the width of the input tokenizer, 9 channels per pixel."""
    tokenizer = state.get(TOKENIZER)
    if tokenizer is None or tokenizer.ndim != 2:
        return OFFICIAL_PATCH  # the disagreement is reported with all others
    return max(1, math.isqrt(tokenizer.shape[1] // 9))


def _empty(sizes: NetworkConfig) -> EfficientLVSMNetwork:
    with torch.device("meta"):
        return EfficientLVSMNetwork(sizes)
