"""Checkpoints: CogVideoX's networks, VideoScene's transformer laid over them, the text embedding.

The authors' files lie on a drive without an address that a program could pin (spec section 1): they
are given as paths. The base model is on the hub.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import (
    DTYPES,
    first_line,
    hub_file,
    load_strictly,
    randomise,
    read_tensors,
)
from sphinx_framework_videoscene.autoencoder import VideoAutoencoder
from sphinx_framework_videoscene.config import VideoSceneConfig
from sphinx_framework_videoscene.transformer import VideoTransformer

WHAT = "videoscene"
RELEASED = "videoscene"
BASE = "base"
PARTS = {"transformer": "transformer", "vae": "autoencoder"}
WAYS = (
    "VideoScene's weights (model.safetensors and prompt_embeds.pt) are in the authors' drive "
    "folder 1FB5Rpr4uEVo9U2BBXai1Fc57kHDpp5yj: give the path of a download as weights, or 'base', "
    "or 'random' (noise: for tests and timing)."
)
OTHER_SIZES = (
    "Set the options transformer and autoencoder to the checkpoint's sizes; their defaults fit the "
    "official one."
)
INDEX = "diffusion_pytorch_model.safetensors.index.json"
SINGLE = "diffusion_pytorch_model.safetensors"


class Networks(nn.Module):
    """Both networks and the text embedding of the one scene prompt."""

    def __init__(self, config: VideoSceneConfig) -> None:
        super().__init__()
        self.transformer = VideoTransformer(config.transformer)
        self.autoencoder = VideoAutoencoder(config.autoencoder, tiling=config.tiling)
        words = config.transformer.max_text_seq_length, config.transformer.text_embed_dim
        self.register_buffer("text", torch.zeros(1, *words), persistent=False)
        self.text: Tensor


def built_networks(config: VideoSceneConfig, device: torch.device) -> Networks:
    """Networks with weights as ``config`` says, in evaluation mode.

    Raises:
        WeightsError: a file is missing, unreadable, or of another network.
    """
    if config.weights == "random":
        networks = _random(config)
    else:
        overlay = None if config.weights == BASE else _given(config.weights)
        prompt = _prompt_file(config, overlay)
        with torch.device("meta"):
            networks = Networks(config)
        for folder, name in PARTS.items():
            _fill(networks.get_submodule(name).get_submodule("network"), config, folder)
        if overlay is not None:
            _lay_over(networks.transformer.network, overlay)
        networks.text = _text(prompt, config)
    return networks.to(device=device, dtype=DTYPES[config.dtype]).eval().requires_grad_(False)


def _given(source: str) -> Path:
    path = Path(source).expanduser()
    if source == RELEASED or not path.is_file():
        what = "no released checkpoint on the hub" if source == RELEASED else f"no file {source!r}"
        raise WeightsError(f"videoscene: there is {what}.", hint=WAYS)
    return path


def _prompt_file(config: VideoSceneConfig, overlay: Path | None) -> Path:
    """The text embedding: as given, or beside the weights. T5 (9.5 GB) is never loaded."""
    if config.prompt_embeds is not None:
        path = Path(config.prompt_embeds).expanduser()
    elif overlay is not None:
        path = overlay.with_name("prompt_embeds.pt")
    else:
        raise WeightsError(
            "videoscene: the base model needs a text embedding, and none is given.",
            hint="Give the path of a [1, 226, 4096] tensor as prompt_embeds.",
        )
    if not path.is_file():
        raise WeightsError(f"videoscene: no text embedding at {str(path)!r}.", hint=WAYS)
    return path


def _text(path: Path, config: VideoSceneConfig) -> Tensor:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"videoscene: {path} cannot be read as a text embedding: {first_line(error)}",
            hint="Download prompt_embeds.pt again.",
        ) from None
    words = config.transformer.max_text_seq_length, config.transformer.text_embed_dim
    if not isinstance(content, Tensor) or content.shape != (1, *words):
        came = tuple(content.shape) if isinstance(content, Tensor) else type(content).__name__
        raise WeightsError(
            f"videoscene: {path} holds {came} instead of a tensor of {(1, *words)}.",
            hint="Give the text embedding that belongs to the weights.",
        )
    return content


def _fill(network: nn.Module, config: VideoSceneConfig, folder: str) -> None:
    """The base model's weights, exactly the network's keys and shapes."""
    found: dict[str, Tensor] = {}
    for path in _base_files(config, folder):
        found |= read_tensors(path, WHAT, mmap=True)
    where = f"{WHAT}: {folder} of {config.base!r}"
    load_strictly(network, found, where, dtype=DTYPES[config.dtype], hint=OTHER_SIZES)


def _base_files(config: VideoSceneConfig, folder: str) -> list[Path]:
    """The files of one network: one, or the parts that an index lists."""
    import json

    root = Path(config.base).expanduser()

    def find(name: str) -> Path:
        if root.is_dir():
            return root / folder / name
        return hub_file(
            config.base, f"{folder}/{name}", revision=config.base_revision, what="videoscene"
        )

    if root.is_dir() and not any((root / folder / name).is_file() for name in (SINGLE, INDEX)):
        raise WeightsError(
            f"videoscene: {root / folder} holds neither {SINGLE} nor {INDEX}.",
            hint="Give the folder of a downloaded base model as base, or its hub repository.",
        )
    single = root / folder / SINGLE
    # The transformer is released in parts, the autoencoder in one file.
    if single.is_file() or (not root.is_dir() and folder == "vae"):
        return [find(SINGLE)]
    listed = json.loads(find(INDEX).read_text(encoding="utf-8"))["weight_map"]
    return [find(name) for name in sorted(set(listed.values()))]


def _lay_over(network: nn.Module, path: Path) -> None:
    """VideoScene's tensors over the base model's: only some layers were trained (section 1)."""
    own, found = network.state_dict(), read_tensors(path, WHAT)
    known = {key: tensor for key, tensor in found.items() if key in own}
    wrong = [key for key, tensor in known.items() if tensor.shape != own[key].shape]
    if not known or wrong:
        why = f"other shapes ({', '.join(wrong[:5])})" if wrong else "no key of the transformer"
        raise WeightsError(
            f"videoscene: {path} has {why}.",
            hint="Give the authors' model.safetensors, or set the option transformer to its sizes.",
        )
    network.load_state_dict(known, strict=False, assign=True)


def _random(config: VideoSceneConfig) -> Networks:
    """Seeded noise of sound size: activations neither vanish nor explode."""
    networks = Networks(config)
    randomise(networks, config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    networks.text = torch.randn(networks.text.shape, generator=generator)
    return networks
