"""CLIP embeddings of a scene's inputs, and of texts in the same space, through open_clip."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.errors import ConfigError, WeightsError, suggestion
from sphinx_framework.nn.precision import cast_to, network_dtype
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.weights import (
    Pin,
    Source,
    first_line,
    library,
    load_strictly,
    randomise,
    read_tensors,
)
from sphinx_framework_clip.config import ClipConfig

CHUNK = 16
WHAT = "clip"
INSTALL = "'sphinx-framework-clip[open-clip]'"
# By model and tag. Other tags are open_clip's to fetch.
PINNED = {
    ("ViT-B-32", "laion2b_s34b_b79k"): Pin(
        repo="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        file="open_clip_model.safetensors",
        commit="1a25a446712ba5ee05982a381eed697ef9b435cf",
    )
}
DO_WITHOUT = (
    "Fetch the checkpoint once and give its path (embedder.weights=PATH), or fix the cluster "
    "(steps.cluster=0)."
)


class ClipEmbedder:
    """``clip``: the renormalised mean of the inputs' unit CLIP embeddings.

    The authors embed the first input only; all inputs show the same place, and their mean depends
    neither on their order nor on one odd view.
    """

    def __init__(self, config: ClipConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.config = config
        self.device = device
        open_clip = library("open_clip", what="the clip embedder", install=INSTALL)
        if config.model not in open_clip.list_models():
            known = open_clip.list_models()
            raise ConfigError(
                f"open_clip has no model {config.model!r}.",
                hint=f"{suggestion(config.model, known)}For example: ViT-B-32.",
            )
        with torch.random.fork_rng(devices=[]):
            # Building draws initial weights: the caller's random stream stays as it was.
            model = _load(open_clip, config)
        self.model: Any = model.to(device).eval().requires_grad_(False)
        self.tokenize = open_clip.get_tokenizer(config.model)

    @torch.no_grad()
    def embed(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, " D"]:
        """Embed all inputs (in [0, 1]) together; the result is L2-normalised."""
        with cast_to(network_dtype(self.config.dtype, self.device, torch.float16), self.device):
            embeddings = [
                self.model.encode_image(self._prepared(chunk.to(self.device)), normalize=True)
                for chunk in images.split(CHUNK)
            ]
        return functional.normalize(torch.cat(embeddings).float().mean(dim=0), dim=0)

    @torch.no_grad()
    def embed_text(self, prompts: Sequence[str]) -> Float[Tensor, "P D"]:
        """Embed texts into the space of the images, L2-normalised."""
        tokens = self.tokenize(list(prompts)).to(self.device)
        embeddings: Tensor = self.model.encode_text(tokens, normalize=True)
        return embeddings.float()

    def _prepared(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 S S"]:
        """The model's evaluation preprocessing: shorter side, centre crop, normalise."""
        visual = self.model.visual
        side = visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0]
        height, width = images.shape[-2:]
        short = min(height, width)
        size = (int(side * height / short), int(side * width / short))
        resized = functional.interpolate(
            images.float(), size=size, mode="bicubic", antialias=True, align_corners=False
        ).clamp(0, 1)
        top, left = round((size[0] - side) / 2), round((size[1] - side) / 2)
        cropped = resized[..., top : top + side, left : left + side]
        mean = torch.tensor(visual.image_mean, device=images.device)[:, None, None]
        deviation = torch.tensor(visual.image_std, device=images.device)[:, None, None]
        return (cropped - mean) / deviation


def _load(open_clip: Any, config: ClipConfig) -> nn.Module:
    """The model with its weights; raises :class:`WeightsError` when they cannot be had."""
    tags = open_clip.list_pretrained_tags_by_model(config.model)
    pin = PINNED.get((config.model, config.weights))
    if pin is None and config.weights in tags and not Path(config.weights).is_file():
        return _fetched_by_open_clip(open_clip, config)
    model = _without_weights(open_clip, config.model)
    if config.weights == "random":
        randomise(model, config.seed)
        return model
    path = Source(
        what=WHAT,
        weights=config.weights,
        options=config,
        official={} if pin is None else {config.weights: pin},
        names=(*tags, "random"),
        hint=DO_WITHOUT,
    ).path()
    tensors = read_tensors(path, WHAT, prefixes=("module.",), hint=DO_WITHOUT)
    hint = f"Expected is open_clip's checkpoint of {config.model}."
    load_strictly(model, tensors, f"{WHAT}: {path}", hint=hint)
    return model


def _without_weights(open_clip: Any, name: str) -> nn.Module:
    """The architecture, without open_clip's warning on the root logger that it has no weights."""
    root, handler = logging.getLogger(), logging.NullHandler()

    def others(record: logging.LogRecord) -> bool:
        return "No pretrained weights loaded" not in record.getMessage()

    # With a handler in place the warning does not set up the process's logging, either.
    root.addHandler(handler)
    root.addFilter(others)
    try:
        model: nn.Module = open_clip.create_model(name, load_weights=False)
    finally:
        root.removeFilter(others)
        root.removeHandler(handler)
    return model


def _fetched_by_open_clip(open_clip: Any, config: ClipConfig) -> nn.Module:
    """Any other tag that open_clip knows, from where it says."""
    try:
        loaded: nn.Module = open_clip.create_model(
            config.model, pretrained=config.weights, require_pretrained=True
        )
    except Exception as error:
        # The hub's client raises a family of its own errors, torch and pickle raise theirs.
        raise WeightsError(
            f"{WHAT}: {config.weights!r} for {config.model} cannot be loaded: "
            f"{type(error).__name__}: {first_line(error)}",
            hint=DO_WITHOUT,
        ) from None
    return loaded
