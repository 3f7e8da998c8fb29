"""CLIP embeddings of a scene's inputs, and of texts in the same space, through open_clip."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sphinx_framework.errors import BrokenPluginError, ConfigError, WeightsError, suggestion
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.torchvision_import import ensure_torchvision_imports
from sphinx_framework.weights import first_line, hub_file, require_fit
from sphinx_framework_clip.config import ClipConfig

CHUNK = 16
# By model and tag: repository, file and commit on the hub. Other tags are open_clip's to fetch.
PINNED = {
    ("ViT-B-32", "laion2b_s34b_b79k"): (
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "open_clip_model.safetensors",
        "1a25a446712ba5ee05982a381eed697ef9b435cf",
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
        open_clip = _open_clip()
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


def _open_clip() -> Any:
    try:
        ensure_torchvision_imports()
        import open_clip
    except (ImportError, RuntimeError) as error:
        raise BrokenPluginError(
            f"the clip embedder needs open_clip, which cannot be imported: {error}.",
            hint="Install it: pip install 'sphinx-framework-clip[open-clip]', with a torchvision "
            "that was built for the installed torch.",
        ) from None
    return open_clip


def _load(open_clip: Any, config: ClipConfig) -> nn.Module:
    """The model with its weights; raises :class:`WeightsError` when they cannot be had."""
    if config.weights == "random":
        model = _without_weights(open_clip, config.model)
        randomise(model, config.seed)
        return model
    tags = open_clip.list_pretrained_tags_by_model(config.model)
    if (config.model, config.weights) in PINNED:
        repo, filename, commit = PINNED[config.model, config.weights]
        path = hub_file(repo, filename, revision=commit, what="clip weights", hint=DO_WITHOUT)
    elif Path(config.weights).is_file():
        path = Path(config.weights)
    elif config.weights in tags:
        return _fetched_by_open_clip(open_clip, config)
    else:
        raise WeightsError(
            f"clip weights {config.weights!r} are neither a file nor a pretrained tag of "
            f"{config.model}.",
            hint=f"{suggestion(config.weights, tags)}Known tags: {', '.join(tags) or 'none'}.",
        )
    return _from_file(open_clip, config.model, path)


def _from_file(open_clip: Any, name: str, path: Path) -> nn.Module:
    """Load strictly; nothing in the file is executed."""
    model = _without_weights(open_clip, name)
    try:
        tensors = open_clip.factory.load_state_dict(str(path))
        require_fit(
            model.state_dict(),
            tensors,
            f"clip weights {path}",
            f"Expected is open_clip's checkpoint of {name}.",
        )
    except WeightsError:
        raise
    except Exception as error:  # torch, pickle and safetensors each raise their own
        raise WeightsError(
            f"clip weights {path} cannot be read: {type(error).__name__}: {first_line(error)}",
            hint=DO_WITHOUT,
        ) from None
    model.load_state_dict(tensors)
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
            f"clip weights {config.weights!r} for {config.model} cannot be loaded: "
            f"{type(error).__name__}: {first_line(error)}",
            hint=DO_WITHOUT,
        ) from None
    return loaded


def randomise(model: nn.Module, seed: int) -> None:
    """Fill all matrices and tokens by the seed, biases with 0; the rest is constant as built."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if name.endswith("bias"):
                weight.zero_()
            elif weight.ndim > 1 or name.endswith("embedding"):
                fan_in = weight[0].numel() if weight.ndim > 1 else weight.numel()
                weight.copy_(torch.randn(weight.shape, generator=generator) * fan_in**-0.5)
