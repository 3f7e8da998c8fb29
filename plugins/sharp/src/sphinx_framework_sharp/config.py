"""Options of the model (torch-free); the network's defaults are the official sizes."""

from typing import Literal

from pydantic import Field, model_validator

from sphinx_framework.options import CheckpointOptions, Options

# Overlapping tiles are merged by a fixed crop, which fits this token grid only.
OVERLAP_GRID = 24
# The disparity map has the size of the input with this patch size only.
PATCH = 16

Widths5 = tuple[int, int, int, int, int]


class ViTConfig(Options):
    """Sizes of both vision transformers."""

    embed_dim: int = Field(default=1024, ge=1, description="Channels C of the tokens.")
    depth: int = Field(default=24, ge=1, description="Blocks.")
    num_heads: int = Field(default=16, ge=1, description="Attention heads.")
    img_size: int = Field(default=384, ge=2, description="Side of a tile in pixels.")
    patch_size: int = Field(default=PATCH, ge=1, description="Side of a token's patch in pixels.")
    num_classes: int = Field(
        default=21841, ge=1, description="Classes of the classifier, never used."
    )

    @model_validator(mode="after")
    def _divides(self) -> "ViTConfig":
        if self.embed_dim % self.num_heads:
            raise ValueError(f"{self.embed_dim} channels do not split into {self.num_heads} heads")
        if self.img_size % self.patch_size:
            raise ValueError(f"tiles of {self.img_size} do not split into {self.patch_size} pixels")
        return self

    @property
    def grid(self) -> int:
        """Tokens along a side of a tile."""
        return self.img_size // self.patch_size


class GaussianDecoderConfig(Options):
    """Sizes of the Gaussian decoder and its two heads."""

    dim_out: int = Field(default=32, ge=1, description="Channels that either head hands on.")
    norm_num_groups: int = Field(default=8, ge=1, description="Groups of the heads' normalisation.")
    dims_decoder: Widths5 = Field(
        default=(128, 128, 128, 128, 128), description="Width per level, finest first."
    )


class AlignmentConfig(Options):
    """Sizes of the depth-alignment U-Net, which is trained with and not used to render."""

    steps: int = Field(default=4, ge=1, description="Times that it halves the resolution.")
    base_width: int = Field(
        default=16, ge=8, multiple_of=8, description="Width of its finest level."
    )


class NetworkConfig(Options):
    """Sizes of the network, under the names of the official configuration."""

    vit: ViTConfig = Field(default=ViTConfig(), description="Both vision transformers.")
    use_patch_overlap: bool = Field(
        default=True, description="Cut overlapping tiles (35 instead of 21)."
    )
    encoder_dims_tail: tuple[int, int, int, int] = Field(
        default=(256, 512, 1024, 1024), description="Widths of the encoder's features 1 to 4."
    )
    hook_ids: tuple[int, int, int, int] = Field(
        default=(5, 11, 17, 23), description="Blocks tapped; the first two are used."
    )
    monodepth_dims_decoder: Widths5 = Field(
        default=(256, 256, 256, 256, 256),
        description="Widths of the depth decoder; the first is feature 0's too.",
    )
    gaussian_decoder: GaussianDecoderConfig = Field(
        default=GaussianDecoderConfig(), description="The Gaussian decoder."
    )
    alignment: AlignmentConfig = Field(
        default=AlignmentConfig(), description="The alignment U-Net."
    )

    @model_validator(mode="after")
    def _fits(self) -> "NetworkConfig":
        if self.use_patch_overlap and self.vit.grid != OVERLAP_GRID:
            raise ValueError(
                f"overlapping tiles need {OVERLAP_GRID} tokens along a side, not {self.vit.grid}: "
                "set use_patch_overlap = false or another vit.img_size"
            )
        if not all(0 <= hook < self.vit.depth for hook in self.hook_ids[:2]):
            raise ValueError(f"hook_ids must name blocks below vit.depth = {self.vit.depth}")
        return self

    @property
    def encoder_dims(self) -> tuple[int, ...]:
        """Widths of the five encoder features, finest first."""
        return (self.monodepth_dims_decoder[0], *self.encoder_dims_tail)

    @property
    def image_size(self) -> int:
        """Side S of the square input in pixels (1536 officially)."""
        return 4 * self.vit.img_size


class SharpConfig(CheckpointOptions):
    """Options of the regression model ``sharp``."""

    weights: str = Field(
        default="sharp",
        min_length=1,
        description="'sharp' (the official file), a path to a .pt or .safetensors file, or "
        "'random' (seeded, for tests and timing).",
    )
    seed: int = Field(default=0, ge=0, description="Seed of weights='random'.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="Sizes of the network.")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Precision of the vision transformers; the rest is float32 always.",
    )
    units_per_metre: float | None = Field(
        default=None,
        gt=0,
        description="Length of a metre in scene units. Default: what brings the nearest content of "
        "the photo to the scene's `near`; 1 where the scene has none. Both are warned about.",
    )
    background: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="Colour behind all Gaussians, linear RGB in [0, 1]."
    )
    low_pass: float | None = Field(
        default=None,
        ge=0,
        description="Blur of every Gaussian in square pixels. Default: none, as upstream, where "
        "targets are at least as fine as the Gaussians, else 0.3 against aliasing.",
    )
    rasterizer: str = Field(
        default="auto", description="Back-end of the core's Gaussian renderer ('auto' chooses)."
    )

    @model_validator(mode="after")
    def _patches_fit(self) -> "SharpConfig":
        if self.network.vit.patch_size != PATCH:
            raise ValueError(f"network.vit.patch_size must be {PATCH}")
        return self
