"""Checkpoints of the pair network: from the Hugging Face hub, a file, or seeded random ones.

The official ``.safetensors`` files and the ``.pth`` files (``{"args": ..., "model": ...}``) load
strictly: every parameter of the network must be in the file with its shape, and nothing else.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sphinx_framework.weights import DTYPES, Pin, Source, load_strictly, randomise, read_tensors
from sphinx_framework_dust3r.config import OFFICIAL_WEIGHTS, DUSt3RConfig
from sphinx_framework_dust3r.network.pair_network import PairNetwork

WHAT = "DUSt3R"
FILE = "model.safetensors"
# The commit of the official repository, as several projects that pin it publish it.
OFFICIAL = {
    OFFICIAL_WEIGHTS: Pin(
        repo=OFFICIAL_WEIGHTS, file=FILE, commit="61c57447d7b0adc8a1a30b2b0adec7a8935aa2a3"
    )
}
# Below one, so that the residual units of the DPT head do not pile up to huge points.
RANDOM_GAIN = 0.5
WAYS = (
    "Or download the file elsewhere and set weights to its path. The official weights are "
    "CC BY-NC-SA 4.0: no commercial use."
)
OTHER_SIZES = (
    "Set network.head to the checkpoint's ('dpt' or 'linear') and the network sizes to its own."
)


def build_network(config: DUSt3RConfig, device: torch.device) -> PairNetwork:
    """Build the network with its weights, in evaluation mode on ``device``.

    Raises:
        WeightsError: the checkpoint is missing, unreadable or does not fit the network.
    """
    with torch.device("meta"):
        network = PairNetwork(config.network)
    if config.weights == "random":
        randomise(network, config.seed, gain=RANDOM_GAIN)
    else:
        path = Source(
            what=WHAT,
            weights=config.weights,
            options=config,
            official=OFFICIAL,
            file=config.weights_file or FILE,
            hint=WAYS,
        ).path()
        # The official .pth files carry their training arguments beside the tensors.
        state = canonical_names(read_tensors(path, WHAT, training=True))
        load_strictly(network, state, f"{WHAT}: {path}", hint=OTHER_SIZES)
    return network.set_precision(DTYPES[config.dtype]).to(device).eval().requires_grad_(False)


def canonical_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Resolve the two names of the DPT projections, and a missing second decoder (CroCo's)."""
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        head, found, rest = name.partition(".scratch.layer_rn.")
        level, _, leaf = rest.partition(".")
        if not found or not level.isdecimal():
            named[name] = value
            continue
        alias = f"{head}.scratch.layer{int(level) + 1}_rn.{leaf}"
        named.setdefault(alias, state.get(alias, value))
    if not any(name.startswith("dec_blocks2.") for name in named):
        first = {k: v for k, v in named.items() if k.startswith("dec_blocks.")}
        named |= {"dec_blocks2." + k.removeprefix("dec_blocks."): v for k, v in first.items()}
    return named
