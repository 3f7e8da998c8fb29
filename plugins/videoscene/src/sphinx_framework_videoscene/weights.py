"""Checkpoints: CogVideoX's networks, VideoScene's transformer laid over them, the text embedding.

The authors' files lie on a drive without an address that a program could pin: they
are given as paths. The base model is on the hub.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError
from sphinx_framework.options import CheckpointOptions
from sphinx_framework.weights import (
    DTYPES,
    Pin,
    Source,
    first_line,
    load_strictly,
    randomise,
    read_tensor,
    read_tensors,
)
from sphinx_framework_videoscene.autoencoder import VideoAutoencoder
from sphinx_framework_videoscene.config import VideoSceneConfig
from sphinx_framework_videoscene.transformer import VideoTransformer

WHAT = "videoscene"
TEXT = "videoscene: the text embedding"
RELEASED = "videoscene"
BASE = "base"
RANDOM = "random"
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
    if config.weights == RANDOM:
        networks = _random(config)
    else:
        overlay = _overlay(config)
        text = _text(config, overlay)
        with torch.device("meta"):
            networks = Networks(config)
        for folder, name in PARTS.items():
            _fill(networks.get_submodule(name).get_submodule("network"), config, folder)
        if overlay is not None:
            _lay_over(networks.transformer.network, overlay)
        networks.text = text
    return networks.to(device=device, dtype=DTYPES[config.dtype]).eval().requires_grad_(False)


def _overlay(config: VideoSceneConfig) -> Path | None:
    """The trained tensors; none for the base model alone."""
    if config.weights == BASE:
        return None
    return Source(
        what=WHAT,
        weights=config.weights,
        options=config,
        official={RELEASED: Pin(file="model.safetensors")},
        names=(BASE, RANDOM),
        variable="VIDEOSCENE_WEIGHTS",
        download="model.safetensors and prompt_embeds.pt",
        hint=WAYS,
    ).path()


def _text(config: VideoSceneConfig, overlay: Path | None) -> Tensor:
    """The text embedding: as given, or beside the weights. T5 (9.5 GB) is never loaded."""
    given = config.prompt_embeds
    if given is None and overlay is not None:
        given = str(overlay.with_name("prompt_embeds.pt"))
    if given is None:
        raise WeightsError(
            "videoscene: the base model needs a text embedding, and none is given.",
            hint="Give the path of a [1, 226, 4096] tensor as prompt_embeds.",
        )
    options = CheckpointOptions(weights_sha256=config.prompt_embeds_sha256)
    path = Source(what=TEXT, weights=given, options=options, names=(), hint=WAYS).path()
    text = read_tensor(path, TEXT, hint=WAYS)
    words = config.transformer.max_text_seq_length, config.transformer.text_embed_dim
    if text.shape != (1, *words):
        raise WeightsError(
            f"{TEXT}: {path} holds {list(text.shape)} instead of {[1, *words]}.",
            hint="Give the text embedding that belongs to the weights.",
        )
    return text


def _fill(network: nn.Module, config: VideoSceneConfig, folder: str) -> None:
    """The base model's weights, exactly the network's keys and shapes."""
    found: dict[str, Tensor] = {}
    for path in _base_files(config, folder):
        found |= read_tensors(path, WHAT, mmap=True)
    where = f"{WHAT}: {folder} of {config.base!r}"
    load_strictly(network, found, where, dtype=DTYPES[config.dtype], hint=OTHER_SIZES)


def _base_files(config: VideoSceneConfig, folder: str) -> list[Path]:
    """The files of one network: one, or the parts that an index lists."""
    root = Path(config.base).expanduser()
    # On the hub the transformer is released in parts, the autoencoder in one file.
    whole = (root / folder / SINGLE).is_file() if root.is_dir() else folder == "vae"
    if whole:
        return [_base_file(config, f"{folder}/{SINGLE}")]
    index = _base_file(config, f"{folder}/{INDEX}")
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{WHAT}: {index} does not list the parts of a checkpoint "
            f"({type(error).__name__}: {first_line(error)}).",
            hint="Download it again.",
        ) from None
    return [_base_file(config, f"{folder}/{name}") for name in sorted(names)]


def _base_file(config: VideoSceneConfig, name: str) -> Path:
    return Source(
        what=f"{WHAT}: the base model",
        weights=config.base,
        options=CheckpointOptions(weights_revision=config.base_revision),
        names=(),
        file=name,
        hint="Give the folder of a downloaded base model as base, or its hub repository.",
    ).path()


def _lay_over(network: nn.Module, path: Path) -> None:
    """VideoScene's tensors over the base model's: only some layers were trained."""
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
