"""Numeric fixtures: where they are, one loader, and the arithmetic they were made with."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor
from torch.nn import functional

# Entries of a description that has arrays beside it.
DESCRIBING_ARRAYS = ("tensors", "tensors_summary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One fixture: its description and its tensors (float8 parameters are widened to float32)."""

    name: str
    info: dict[str, Any]
    tensors: dict[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Tensors whose key starts with ``prefix``, with the prefix removed (a state dict)."""
        return {k[len(prefix) :]: v for k, v in self.tensors.items() if k.startswith(prefix)}


def goldens_folders() -> tuple[Path, ...]:
    """``$SPHINX_GOLDENS`` alone where it is set.

    Else small fixtures in the repository, and large ones in ``../shared/goldens`` beside it.
    """
    chosen = os.environ.get("SPHINX_GOLDENS")
    if chosen:
        return (Path(chosen),)
    root = Path(__file__).resolve().parents[2]
    return (root / "tests" / "fixtures" / "goldens", root.parent / "shared" / "goldens")


def golden_names(pattern: str) -> list[str]:
    """Names of the fixtures whose description matches a glob pattern (without ``.json``)."""
    found = {path.stem for folder in goldens_folders() for path in folder.glob(f"{pattern}.json")}
    return sorted(found)


def described(pattern: str) -> dict[str, dict[str, Any]]:
    """Descriptions of the fixtures whose names match a glob pattern, without their arrays."""
    found = {}
    for name in golden_names(pattern):
        folder = next(f for f in goldens_folders() if (f / f"{name}.json").exists())
        found[name] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return found


def absent(what: str) -> NoReturn:
    """Skip the calling test; under ``SPHINX_REQUIRE_FIXTURES=1`` (as in CI) fail it."""
    if os.environ.get("SPHINX_REQUIRE_FIXTURES") == "1":
        pytest.fail(what)
    pytest.skip(what)


def captures() -> Path:
    """Folder of the real posed captures: ``$SPHINX_CAPTURES``, else ``../shared/data``."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("SPHINX_CAPTURES") or beside)


def capture_folder(name: str) -> Path:
    """Folder of one capture; where it is absent, see :func:`absent`."""
    folder = captures() / name
    if not folder.is_dir():
        absent(f"the capture {name!r} is not in {folder.parent} (set SPHINX_CAPTURES)")
    return folder


def golden(name: str) -> Golden:
    """Load fixture ``name``; skip the calling test, with the reason, where it is absent.

    Under ``SPHINX_REQUIRE_FIXTURES=1`` (as in CI) an absent fixture fails the test instead.
    Raises ``FileNotFoundError`` for a description whose arrays are missing.
    """
    folders = goldens_folders()
    folder = next((f for f in folders if (f / f"{name}.json").exists()), None)
    if folder is None:
        looked = " or ".join(str(f) for f in folders)
        absent(f"golden {name!r} is not in {looked} (set SPHINX_GOLDENS)")
    description = folder / f"{name}.json"
    from safetensors.torch import load_file

    info = json.loads(description.read_text())
    arrays = folder / f"{name}.safetensors"
    if not arrays.exists() and any(key in info for key in DESCRIBING_ARRAYS):
        raise FileNotFoundError(f"golden {name!r} has a description but no {arrays}")
    tensors = load_file(arrays) if arrays.exists() else {}
    wide = {
        key: value.float() if value.dtype == torch.float8_e4m3fn else value
        for key, value in tensors.items()
    }
    return Golden(name=name, info=info, tensors=wide)


@contextmanager
def single_thread() -> Iterator[None]:
    """Compute on one thread: how sums are split between threads changes their rounding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def defined_arithmetic() -> Iterator[None]:
    """One thread, and attention by its formula in place of the fused kernels.

    The fixtures of networks were made with the formula. Networks of random numbers amplify the
    rounding of a fused kernel until it is as large as the tolerances.
    """
    with single_thread(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "scaled_dot_product_attention", defined_attention)
        yield


def defined_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """What PyTorch documents of ``scaled_dot_product_attention``, without dropout."""
    if dropout_p:
        raise NotImplementedError("attention with dropout")
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    # Heads join the batch before the product: with strided keys the product rounds differently.
    logits = torch.matmul(query.flatten(0, -3), key.flatten(0, -3).mT) * factor
    logits = logits.unflatten(0, query.shape[:-2])
    if is_causal:
        attn_mask = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        logits = logits.masked_fill(~attn_mask, float("-inf"))
    elif attn_mask is not None:
        logits = logits + attn_mask
    return torch.matmul(logits.softmax(dim=-1), value)
