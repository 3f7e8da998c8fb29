"""The CLIP image tower that conditions every frame."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.errors import ConfigError, WeightsError
from sphinx_framework.options import CheckpointOptions
from sphinx_framework.weights import (
    Pin,
    Source,
    ensure_torchvision_imports,
    load_strictly,
    randomise,
    read_tensors,
)
from sphinx_framework_seva.clip_images import SIDE, clip_images
from sphinx_framework_seva.config import SevaConfig
from sphinx_framework_seva.precision import chosen_dtype

WHAT = "CLIP image encoder"
PREFIX = "visual."
REPOSITORY = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
COMMIT = "1c2b8495b28150b8a4922ee1c8edee224c284c0c"  # as several projects publish it
OFFICIAL = {"patch_size": 14, "width": 1280, "layers": 32, "heads": 16}
TINY = {"patch_size": 56, "width": 32, "layers": 1, "heads": 2}


class ImageEncoder:
    """open_clip's vision transformer; the text tower of the checkpoint is never built."""

    def __init__(self, tower: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
        self.tower = tower
        self.dtype = dtype
        self.device = device

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V D"]:
        """Projected embeddings, not normalised; images in [0, 1]."""
        pixels = clip_images(images.to(self.device).float())
        out: Tensor = self.tower(pixels.to(self.dtype)).float()
        return out


def build_image_encoder(config: SevaConfig, device: torch.device) -> ImageEncoder:
    """Load the tower named by ``config.clip``, or make a random one.

    Raises:
        WeightsError: the checkpoint is missing or is not this tower's.
        ConfigError: the tower's embedding does not have ``context_dim`` numbers.
    """
    dtype = chosen_dtype(config, device)
    tiny = config.clip == "random-tiny"
    with torch.device("meta"):
        tower = _tower(TINY if tiny else OFFICIAL, config.context_dim)
    if config.clip in ("random", "random-tiny"):
        randomise(tower, config.seed, dtype=dtype, device=device)
    else:
        path = Source(
            what=WHAT,
            weights=config.clip,
            options=CheckpointOptions(weights_revision=config.clip_revision),
            official={REPOSITORY: Pin(repo=REPOSITORY, file=config.clip_file, commit=COMMIT)},
            file=config.clip_file,
            endpoint=config.hub_endpoint,
        ).path()
        tensors = vision_tensors(read_tensors(path, WHAT))
        if config.context_dim != 1024:
            raise ConfigError(
                f"ViT-H-14 embeds images in 1024 numbers, but context_dim is {config.context_dim}.",
                hint='Keep context_dim = 1024, or choose clip = "random-tiny".',
            )
        load_strictly(tower, tensors, f"{WHAT}: {path}", dtype=dtype, device=device)
    return ImageEncoder(tower, dtype, device)


def vision_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The vision part of a whole CLIP checkpoint (or all of a checkpoint of the tower alone).

    Raises:
        WeightsError: the file has text-tower keys only.
    """
    vision = {k.removeprefix(PREFIX): v for k, v in tensors.items() if k.startswith(PREFIX)}
    if vision:
        return vision
    if "logit_scale" in tensors:
        raise WeightsError(f"{WHAT}: the checkpoint has no vision tower ('{PREFIX}*' keys).")
    return dict(tensors)


def _tower(sizes: Mapping[str, int], embedding: int) -> nn.Module:
    ensure_torchvision_imports()
    from open_clip.transformer import VisionTransformer

    tower: nn.Module = VisionTransformer(
        image_size=SIDE, mlp_ratio=4.0, output_dim=embedding, **sizes
    )
    return tower
