"""The tensors of a checkpoint file; nothing in it is executed."""

import hashlib
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights.hub import first_line
from sphinx_framework.weights.pickled import TENSORS_ONLY

# Where training frameworks keep the parameters: Lightning, plain PyTorch, DeepSpeed.
NESTS = ("state_dict", "model", "module")


def read_tensors(
    path: Path,
    what: str,
    *,
    prefixes: Sequence[str] = (),
    training: bool = False,
    mmap: bool = False,
    hint: str = "",
) -> dict[str, Tensor]:
    """All tensors of a ``.safetensors`` file or a torch checkpoint, by name, on the CPU.

    A torch checkpoint may hold them under one of :data:`NESTS`; what is no tensor is left out.

    Args:
        path: the file.
        what: begins the messages.
        prefixes: cut from the beginning of names, as often as they stand there.
        training: objects of other classes (optimiser states, arguments) are skipped, not refused.
        mmap: map a zipped torch file into memory, for files that hardly fit twice.
        hint: how to do without the file, appended to the hint.

    Raises:
        WeightsError: the file is damaged or holds no tensors.
    """
    content = _read(path, what, training=training, mmap=mmap, hint=hint)
    tensors = {_without(name, prefixes): value for name, value in _named(content).items()}
    if not tensors:
        raise WeightsError(
            f"{what}: {path} holds no tensors by name.", hint=f"Is it the right file? {hint}"
        )
    return tensors


def read_tensor(path: Path, what: str, *, hint: str = "") -> Tensor:
    """The only tensor of a ``.npy``, ``.safetensors`` or torch file, on the CPU.

    In a torch file it may stand alone, without a name. Arguments as those of :func:`read_tensors`.

    Raises:
        WeightsError: the file is damaged, or holds none or several.
    """
    content = _read(path, what, hint=hint)
    found = [content] if isinstance(content, Tensor) else list(_named(content).values())
    if len(found) != 1:
        raise WeightsError(
            f"{what}: {path} holds {len(found)} tensors instead of one.",
            hint=f"Is it the right file? {hint}",
        )
    return found[0]


def check_sha256(path: Path, expected: str, what: str) -> None:
    """Compare a file's SHA-256, or as many of its first hex digits as are known.

    Raises:
        WeightsError: the file is another one.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected.lower()):
        raise WeightsError(
            f"{what}: {path} is not the expected file: its SHA-256 is {found}, not {expected}.",
            hint="It may be damaged or cut short: delete it and download it again.",
        )


def _read(
    path: Path, what: str, *, training: bool = False, mmap: bool = False, hint: str = ""
) -> Any:
    try:
        return _content(path, training=training, mmap=mmap)
    except Exception as error:  # numpy, safetensors, pickle, zipfile, torch: each has its own
        raise WeightsError(
            f"{what}: {path} cannot be read as a checkpoint "
            f"({type(error).__name__}: {first_line(error)}).",
            hint=f"It may be damaged, cut short or of another kind: download it again. {hint}",
        ) from error


def _content(path: Path, *, training: bool, mmap: bool) -> Any:
    if path.suffix == ".npy":
        return torch.from_numpy(np.load(path, allow_pickle=False))
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    mapped = mmap and zipfile.is_zipfile(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError:
        if not training:
            raise
        return torch.load(
            path, map_location="cpu", weights_only=False, pickle_module=TENSORS_ONLY, mmap=mapped
        )


def _named(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    nested = (content[nest] for nest in NESTS if isinstance(content.get(nest), Mapping))
    entries = next(nested, content).items()
    return {str(name): value for name, value in entries if isinstance(value, Tensor)}


def _without(name: str, prefixes: Sequence[str]) -> str:
    while name.startswith(tuple(prefixes)):
        name = name.removeprefix(next(p for p in prefixes if name.startswith(p)))
    return name
