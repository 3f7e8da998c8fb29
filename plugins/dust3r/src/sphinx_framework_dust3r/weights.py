"""Checkpoints of the pair network: from the Hugging Face hub, a file, or seeded random ones.

The official ``.safetensors`` files and the ``.pth`` files (``{"args": ..., "model": ...}``) load
strictly: every parameter of the network must be in the file with its shape, and nothing else.
"""

import argparse
import math
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import hub_file
from sphinx_framework_dust3r.config import DUSt3RConfig
from sphinx_framework_dust3r.network.pair_network import PairNetwork

RANDOM = "random"
# Commits of official repositories, as several projects that pin them publish them.
PINNED = {
    "naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt": "61c57447d7b0adc8a1a30b2b0adec7a8935aa2a3",
}
LISTED = 5
# Below one, so that the residual units of the DPT head do not pile up to huge points.
RANDOM_GAIN = 0.5
FILE_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
LICENCE_NOTE = "The official weights are CC BY-NC-SA 4.0: no commercial use."


def build_network(config: DUSt3RConfig, device: torch.device) -> PairNetwork:
    """Build the network with its weights, in evaluation mode on ``device``.

    Raises:
        WeightsError: the checkpoint is missing, unreadable or does not fit the network.
    """
    with torch.device("meta"):
        network = PairNetwork(config.network)
    if config.weights == RANDOM:
        network.to_empty(device="cpu")
        initialise(network, config.seed)
    else:
        path = checkpoint_path(config)
        load_strictly(network, read_checkpoint(path), str(path))
    dtype: torch.dtype = getattr(torch, config.dtype)
    return network.set_precision(dtype).to(device).eval().requires_grad_(False)


def checkpoint_path(config: DUSt3RConfig) -> Path:
    """The local checkpoint file; downloads it when ``weights`` names a hub repository.

    Raises:
        WeightsError: no such file, or the hub cannot deliver it.
    """
    local = Path(config.weights).expanduser()
    if local.is_dir():
        local = local / config.filename
    if local.is_file():
        return local
    if config.weights.endswith(FILE_SUFFIXES) or config.weights.startswith((".", "~", "/")):
        raise WeightsError(
            f"{local}: no such checkpoint file.",
            hint="Give the path of a DUSt3R .safetensors or .pth file, or a Hugging Face "
            "repository (weights = 'naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt').",
        )
    return hub_file(
        config.weights,
        config.filename,
        revision=config.revision or PINNED.get(config.weights),
        what="DUSt3R",
        hint=f"Or download the file elsewhere and set weights to its path. {LICENCE_NOTE}",
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a ``.safetensors`` or torch checkpoint file onto the CPU.

    Raises:
        WeightsError: the file cannot be read as either.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        # The official .pth files carry their training arguments, a plain argparse.Namespace.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:
        if not isinstance(cause, _unreadable()):
            raise
        raise WeightsError(
            f"{path}: cannot be read as a checkpoint ({type(cause).__name__}).",
            hint="The file may be cut short or of another kind; download it again.",
        ) from cause
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(
            f"{path}: holds no state dictionary.",
            hint="Expected tensors by name, or a dictionary with them under 'model'.",
        )
    return state


def load_strictly(network: PairNetwork, state: dict[str, Tensor], source: str) -> None:
    """Put a checkpoint into the network; names and shapes must match exactly.

    Two licences of the format are honoured: the DPT projections may carry either of their two
    names, and a checkpoint without second decoder (CroCo) lends it the first one's weights.

    Raises:
        WeightsError: with counts and the first five missing, unexpected and mis-shaped names.
    """
    state = canonical_names(state)
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    missing = sorted(expected.keys() - state.keys())
    unexpected = sorted(state.keys() - expected.keys())
    misshaped = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(shape)}"
        for name, shape in expected.items()
        if name in state and state[name].shape != shape
    ]
    if missing or unexpected or misshaped:
        raise WeightsError(
            f"{source}: does not fit the network; "
            + "; ".join(
                f"{len(names)} {what}: {', '.join(names[:LISTED])}"
                for what, names in (
                    ("missing", missing),
                    ("unexpected", unexpected),
                    ("mis-shaped", misshaped),
                )
                if names
            )
            + ".",
            hint="Set network.head to the checkpoint's ('dpt' or 'linear') and the network sizes "
            "to its own.",
        )
    network.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)


def canonical_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Resolve the two names of the DPT projections, and a missing second decoder."""
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


def initialise(network: nn.Module, seed: int) -> None:
    """Fill every parameter from a seed: scaled normal matrices, unit norms, zero biases."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            with torch.no_grad():
                if parameter.ndim > 1:
                    fan_in = parameter[0].numel()
                    parameter.normal_(0, RANDOM_GAIN / math.sqrt(fan_in), generator=generator)
                else:
                    parameter.fill_(1.0 if name == "weight" else 0.0)


def _unreadable() -> tuple[type[Exception], ...]:
    from safetensors import SafetensorError

    return (
        SafetensorError,
        pickle.UnpicklingError,
        EOFError,
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
    )
