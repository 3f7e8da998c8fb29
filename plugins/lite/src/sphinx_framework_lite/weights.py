"""Finds, checks and loads the weights of the embedded networks."""

from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from sphinx_framework.weights import Source, frozen, load_strictly, read_tensors

Network = TypeVar("Network", bound=nn.Module)
RANDOM_SEED = 0
HINT = "Reinstall sphinx-framework-lite, or set weights to 'random' for a test run."


def build(
    make: type[Network], name: str, source: str, device: torch.device, **options: int
) -> Network:
    """Build a network and give it its weights, in evaluation mode.

    Args:
        make: class of the network.
        name: file name without suffix.
        source: ``"packaged"``, ``"random"`` or a folder.
        device: where it will run.
        options: arguments of the class.

    Raises:
        WeightsError: if the file is missing, unreadable or of another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        network = make(**options)
    if source == "random":
        frozen(network)
        return network.to(device)
    folder = Path(str(files("sphinx_framework_lite"))) / "weights"
    file = (folder if source == "packaged" else Path(source)) / f"{name}.safetensors"
    what = f"lite's {name} network"
    path = Source(what=what, weights=str(file), hint=HINT).path()
    tensors = read_tensors(path, what, hint=HINT)
    load_strictly(network, tensors, f"{what}: {path}", device=device, hint=HINT)
    return network


def channels_last(network: nn.Module) -> None:
    """Lay convolutions out as a CPU's kernels read them.

    It takes a fifth of their time off the encoder and the finisher, and nothing off the decoder.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
