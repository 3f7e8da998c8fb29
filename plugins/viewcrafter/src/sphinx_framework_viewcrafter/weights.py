"""Finds and reads checkpoints: the official files, and the names they know."""

from pathlib import Path

from torch import Tensor

from sphinx_framework.weights import Pin, Source, read_tensors
from sphinx_framework_viewcrafter.config import ViewCrafterConfig

WHAT = "ViewCrafter"
DEEPSPEED_PREFIX = "_forward_module."
RENAMES = {"framestride_embed": "fps_embedding"}
# Commits whose pages on the hub list the file.
OFFICIAL = {
    "ViewCrafter_25": Pin(
        repo="Drexubery/ViewCrafter_25",
        file="model.ckpt",
        commit="35af104d9781e9ed5cdaddfcfbbdca5835e1c36f",
    ),
    "ViewCrafter_25_sparse": Pin(
        repo="Drexubery/ViewCrafter_25_sparse",
        file="model_sparse.ckpt",
        commit="b0da3ae2be0fd686af4c620c380f7951fdc62ac6",
    ),
    "ViewCrafter_16": Pin(
        repo="Drexubery/ViewCrafter_16",
        file="model.ckpt",
        commit="c89ced4a6d256429d7ab7a5907c838160388266f",
    ),
    "ViewCrafter_25_512": Pin(
        repo="Drexubery/ViewCrafter_25_512",
        file="model.ckpt",
        commit="c291679498ccac40835afcd723d648f3b3d0b1ae",
    ),
}


def source(config: ViewCrafterConfig) -> Source:
    """A local file, or an official name from the hub."""
    return Source(
        what=WHAT,
        weights=config.weights,
        options=config,
        official=OFFICIAL,
        hint="Or download the file yourself and give its path as `weights`.",
    )


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint under today's names, memory-mapped where possible.

    DeepSpeed's prefix is cut, and old names are renamed. Raises ``WeightsError``.
    """
    tensors = read_tensors(path, WHAT, prefixes=(DEEPSPEED_PREFIX,), mmap=True)
    return {_renamed(key): tensor for key, tensor in tensors.items()}


def _renamed(key: str) -> str:
    for old, new in RENAMES.items():
        key = key.replace(old, new)
    return key
