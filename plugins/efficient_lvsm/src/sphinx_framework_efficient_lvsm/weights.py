"""Checkpoints or seeded noise as a network (section 1)."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import WeightsError, suggestion
from sphinx_framework.weights import check_sha256, hub_file, require_fit
from sphinx_framework_efficient_lvsm.config import OFFICIAL_PATCH, EfficientLVSMConfig
from sphinx_framework_efficient_lvsm.network import EfficientLVSMNetwork

OFFICIAL = {name: f"efficient_lvsm_{name}.pt" for name in ("res256", "res512", "inc_demo")}
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
        return _random(config)
    path = find_weights(config)
    if config.weights_sha256 is not None:
        check_sha256(path, config.weights_sha256, "efficient-lvsm")
    state = network_state(read_checkpoint(path))
    sizes = config.network
    if sizes.patch_size is None:
        sizes = sizes.model_copy(update={"patch_size": patch_size(state)})
    with torch.device("meta"):
        network = EfficientLVSMNetwork(sizes)
    require_fit(
        network.state_dict(),
        state,
        f"efficient-lvsm: {path}",
        "Use a checkpoint of the released architecture, or set the network's sizes to the file's.",
    )
    network.load_state_dict(state, strict=True, assign=True)
    return network.float()


def find_weights(config: EfficientLVSMConfig) -> Path:
    """Path of the checkpoint: a given file, or one of the authors' names in a given repository."""
    name = OFFICIAL.get(config.weights)
    if name is None:
        path = Path(config.weights).expanduser()
        if path.is_file():
            return path
        close = suggestion(config.weights, [*OFFICIAL, "random"])
        raise WeightsError(
            f"efficient-lvsm: no checkpoint at {config.weights!r}.", hint=f"{close}{WAYS}"
        )
    if config.weights_repo is None:
        raise WeightsError(
            f"efficient-lvsm: there are no weights {config.weights!r}: no released checkpoint of "
            "this model is known to this project.",
            hint=WAYS,
        )
    return hub_file(
        config.weights_repo, name, revision=config.weights_revision, what="efficient-lvsm"
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a ``.safetensors`` file or a pickled dict; nothing in it is executed.

    Raises:
        WeightsError: the file is damaged, holds more than tensors and plain values, or is no dict.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch and safetensors raise many unrelated types here
        first = (str(cause).splitlines() or [""])[0]
        raise WeightsError(
            f"efficient-lvsm: {path} cannot be read as a checkpoint "
            f"({type(cause).__name__}: {first}).",
            hint="The file may be cut short; get it again.",
        ) from cause
    if not isinstance(content, dict):
        raise WeightsError(
            f"efficient-lvsm: {path} holds a {type(content).__name__}, not a state dict.", hint=WAYS
        )
    return content


def network_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The network's tensors under its own names, from a training checkpoint or a state dict."""
    nested = checkpoint.get("model")
    entries = nested if isinstance(nested, dict) else checkpoint
    state = {}
    for name, value in entries.items():
        key = str(name)
        while key.startswith(STRIPPED):
            key = key.removeprefix(next(s for s in STRIPPED if key.startswith(s)))
        if isinstance(value, Tensor) and not key.startswith(DROPPED):
            state[key] = value
    return state


def patch_size(state: dict[str, Tensor]) -> int:
    """Side of a patch from the width of the input tokenizer, 9 channels per pixel."""
    tokenizer = state.get(TOKENIZER)
    if tokenizer is None or tokenizer.ndim != 2:
        return OFFICIAL_PATCH  # the disagreement is reported with all others
    return max(1, math.isqrt(tokenizer.shape[1] // 9))


def _random(config: EfficientLVSMConfig) -> EfficientLVSMNetwork:
    """Seeded noise that keeps activations in range."""
    with torch.device("meta"):
        network = EfficientLVSMNetwork(config.network)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(config.seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter.shape[1] ** -0.5, generator=generator)
            else:
                parameter.fill_(1)
    return network
