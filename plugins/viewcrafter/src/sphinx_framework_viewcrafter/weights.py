"""Finds and reads checkpoints, and checks their keys against the networks' (spec section 0)."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import hub_file

DEEPSPEED_PREFIX = "_forward_module."
RENAMES = {"framestride_embed": "fps_embedding"}
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file of a Hugging Face repository at a commit whose page on the hub lists it."""

    repository: str
    filename: str
    commit: str


OFFICIAL = {
    "ViewCrafter_25": HubFile(
        repository="Drexubery/ViewCrafter_25",
        filename="model.ckpt",
        commit="35af104d9781e9ed5cdaddfcfbbdca5835e1c36f",
    ),
    "ViewCrafter_25_sparse": HubFile(
        repository="Drexubery/ViewCrafter_25_sparse",
        filename="model_sparse.ckpt",
        commit="b0da3ae2be0fd686af4c620c380f7951fdc62ac6",
    ),
    "ViewCrafter_16": HubFile(
        repository="Drexubery/ViewCrafter_16",
        filename="model.ckpt",
        commit="c89ced4a6d256429d7ab7a5907c838160388266f",
    ),
    "ViewCrafter_25_512": HubFile(
        repository="Drexubery/ViewCrafter_25_512",
        filename="model.ckpt",
        commit="c291679498ccac40835afcd723d648f3b3d0b1ae",
    ),
}


def locate(source: str, revision: str | None = None) -> Path:
    """Path of a checkpoint: a local file as it is, an official name from the hub.

    Without a ``revision`` the official repositories are read at the commits in ``OFFICIAL``.

    Raises:
        WeightsError: neither, or the hub does not hand it out (offline, licence, wrong revision).
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if source not in OFFICIAL:
        raise WeightsError(
            f"weights {source!r} are neither a file nor an official checkpoint.",
            hint=f"Give a path, 'random', or one of: {', '.join(OFFICIAL)}.",
        )
    file = OFFICIAL[source]
    return hub_file(
        file.repository,
        file.filename,
        revision=revision or file.commit,
        what="ViewCrafter",
        hint="Or download the file yourself and give its path as `weights`.",
    )


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by the keys of its ``state_dict``, memory-mapped where possible.

    Accepts safetensors, and torch files that hold the state dict itself, under ``state_dict``, or
    a DeepSpeed ``module`` with prefixed keys; old names are renamed.

    Raises:
        WeightsError: the file is unreadable or holds no tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    # Damaged files make torch and safetensors raise a dozen unrelated types.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise WeightsError(
            f"{path}: cannot be read as a checkpoint: {reason}",
            hint="Download it again, or convert it to .safetensors.",
        ) from None
    return _state_dict(content, path)


def check_keys(found: Mapping[str, Tensor], expected: Mapping[str, torch.Size], where: str) -> None:
    """Raise :class:`WeightsError` unless keys and shapes agree exactly."""
    missing = sorted(expected.keys() - found.keys())
    unexpected = sorted(found.keys() - expected.keys())
    misshaped = [
        f"{key} is {list(found[key].shape)}, not {list(shape)}"
        for key, shape in expected.items()
        if key in found and found[key].shape != shape
    ]
    problems = [
        f"{len(keys)} {what} ({'; '.join(keys[:SHOWN])}{'; ...' if len(keys) > SHOWN else ''})"
        for what, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshaped),
        )
        if keys
    ]
    if problems:
        raise WeightsError(
            f"{where} does not fit the network, keys: {', '.join(problems)}.",
            hint="The options unet, autoencoder, image_tower, text_tower and resampler must "
            "describe the checkpoint; their defaults fit the official ones.",
        )


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    prefix = ""
    if isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
    elif isinstance(content, dict) and "module" in content:
        content, prefix = content["module"], DEEPSPEED_PREFIX
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise WeightsError(
            f"{path}: holds no tensors by name.",
            hint="A state dict, or one under 'state_dict' or 'module', is expected.",
        )
    return {_renamed(key.removeprefix(prefix)): tensor for key, tensor in content.items()}


def _renamed(key: str) -> str:
    for old, new in RENAMES.items():
        key = key.replace(old, new)
    return key
