"""pyiqa's MUSIQ network with its weights."""

from typing import Any

import torch
from torch import nn

from sphinx_framework.weights import (
    Pin,
    Source,
    library,
    load_strictly,
    randomise,
    read_tensors,
)
from sphinx_framework_musiq.config import MusiqConfig

WHAT = "MUSIQ"
SINGLE_SCORE = ("koniq10k", "spaq", "paq2piq")
REPOSITORY = "chaofengc/IQA-PyTorch-Weights"
REVISION = "0df2df423c65f6a64209309695f3845727431027"
INSTALL = "'sphinx-framework-musiq[pyiqa]' (non-commercial licence)"
MIDDLE = 50.0  # of the scale of scores, so that random weights give positive ones
WAYS = "Or fetch the file once and give its path (quality.weights=PATH)."


def musiq_network(config: MusiqConfig) -> nn.Module:
    """Build the network in evaluation mode, frozen.

    Raises :class:`WeightsError` when the weights cannot be had or do not fit.
    """
    musiq = library("pyiqa.archs.musiq_arch", what="musiq", install=INSTALL)
    with torch.random.fork_rng(devices=[]):
        # Building draws initial weights: the caller's random stream stays as it was.
        network: Any = musiq.MUSIQ(pretrained=False)
    if config.weights == "random":
        randomise(network, config.seed)
        network.head.bias.fill_(MIDDLE)
    else:
        path = Source(
            what=WHAT,
            weights=config.weights,
            options=config,
            official={name: _pin(musiq, name) for name in SINGLE_SCORE},
            hint=WAYS,
        ).path()
        tensors = read_tensors(path, WHAT, prefixes=("module.",))
        hint = "Expected is pyiqa's checkpoint of MUSIQ with one score."
        load_strictly(network, tensors, f"{WHAT}: {path}", hint=hint)
    return network


def _pin(musiq: Any, name: str) -> Pin:
    """The file that pyiqa names; the name ends in the first digits of its SHA-256."""
    file: str = musiq.default_model_urls[name].rpartition("/")[2]
    digits = file.rpartition(".")[0].rpartition("-")[2]
    return Pin(repo=REPOSITORY, file=file, commit=REVISION, sha256=digits)
