"""Where checkpoints come from, and how they are put into a network: strictly, or not at all."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError

SHOWN = 5
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def fetched(
    repo: str, filename: str, *, revision: str | None, what: str, endpoint: str | None = None
) -> Path:
    """Path of a hub file in the local cache, downloaded if need be.

    The access token is the hub client's own (environment or login).

    Raises:
        WeightsError: the file cannot be had; the hint says what to do.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    named = f"{what}: {filename!r} of the hub repository {repo!r}"
    path_hint = "Or give the path of a downloaded file instead."
    try:
        return Path(hf_hub_download(repo, filename, revision=revision, endpoint=endpoint))
    except GatedRepoError as error:
        raise WeightsError(
            f"{named} is gated.",
            hint="Accept the licence on the repository's page, then run `hf auth login` "
            f"(formerly `huggingface-cli login`) or set HF_TOKEN. {path_hint}",
        ) from error
    except LocalEntryNotFoundError as error:
        raise WeightsError(
            f"{named} is not on this machine, and the hub cannot be reached.",
            hint=f"Check the connection and HF_HUB_OFFLINE. {path_hint}",
        ) from error
    except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise WeightsError(
            f"{named} does not exist there, or is private (revision {revision or 'main'}).",
            hint=f"Check repository, file and revision; private ones need HF_TOKEN. {path_hint}",
        ) from error
    except Exception as error:  # the hub client and its HTTP library raise many kinds
        first = (str(error).splitlines() or [""])[0]
        raise WeightsError(
            f"{named} could not be downloaded: {type(error).__name__}: {first}", hint=path_hint
        ) from error


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
        first = (str(error).splitlines() or [""])[0]
        raise WeightsError(
            f"{what}: {str(path)!r} cannot be read as a checkpoint: {first}",
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
    expected = network.state_dict()
    problems = list(_disagreements(expected, tensors))
    if problems:
        shown = "; ".join(problems[:SHOWN])
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise WeightsError(
            f"{what}: the checkpoint does not fit the network: {len(problems)} of "
            f"{len(expected)} keys disagree: {shown}{more}.",
            hint="Is it the checkpoint of this model, with the sizes in the options?",
        )
    cast = {key: value.to(device=device, dtype=dtype) for key, value in tensors.items()}
    network.load_state_dict(cast, assign=True)
    freeze(network)


def _disagreements(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    for key, value in expected.items():
        if key not in tensors:
            yield f"{key} is missing"
        elif tensors[key].shape != value.shape:
            yield f"{key} is {tuple(tensors[key].shape)}, expected {tuple(value.shape)}"
    for key in tensors:
        if key not in expected:
            yield f"{key} is unexpected"


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
