"""Finds, checks and loads the weights of the embedded networks."""

from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sphinx_framework.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)
RANDOM_SEED = 0


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
    if source != "random":
        folder = Path(str(files("sphinx_framework_lite"))) / "weights"
        path = (folder if source == "packaged" else Path(source)) / f"{name}.safetensors"
        hint = "Reinstall sphinx-framework-lite, or set weights to 'random' for a test run."
        if not path.exists():
            raise WeightsError(
                f"the weights of lite's {name} network are not at {path}.", hint=hint
            )
        try:
            state = {
                k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()
            }
            network.load_state_dict(state)
        except (SafetensorError, RuntimeError) as error:
            raise WeightsError(
                f"{path} does not fit lite's {name} network: {str(error).splitlines()[0]}",
                hint=hint,
            ) from error
    return network.to(device).eval().requires_grad_(False)
