"""The text tower as ViewCrafter uses it, by open_clip: all but the last block, all tokens."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Int
from torch import Tensor

from sphinx_framework.weights import library
from sphinx_framework_viewcrafter.config import TextTowerConfig


def open_clip(module: str = "open_clip") -> Any:
    """The library that both towers and their tokenizer are from."""
    return library(module, what="viewcrafter", install="open_clip_torch")


def text_tower(config: TextTowerConfig) -> Any:
    """Token ids ``[V, n]`` to context tokens ``[V, n, C]``, normalised.

    The checkpoint's last block and projection are not built.
    """
    return open_clip("open_clip.transformer").TextTransformer(
        context_length=config.context_length,
        vocab_size=config.vocab_size,
        width=config.width,
        heads=config.heads,
        layers=config.layers - 1,
        pool_type="none",
        proj_type="none",
    )


def tokenized(prompts: Sequence[str], config: TextTowerConfig) -> Int[Tensor, "V n"]:
    """Token ids of prompts: start, text (cut to fit), end, zeros.

    Ids wrap around in the small vocabularies of random towers.
    """
    tokens: Tensor = open_clip().tokenize(list(prompts), config.context_length)
    return tokens % config.vocab_size
