"""Options of the model (torch-free); the encoder's defaults are the official re10k/acid sizes."""

import math
from typing import Literal

from pydantic import Field, model_validator

from sphinx_framework.options import CheckpointOptions, Options

DOWNSCALE = 4
HIGHEST_DEGREE = 4

SizeRule = Literal["resize", "crop", "strict"]


class EncoderConfig(Options):
    """Sizes of the network, under the names of the official configuration."""

    d_feature: int = Field(
        default=128, ge=2, multiple_of=2, description="Channels C of the features."
    )
    num_depth_candidates: int = Field(default=128, ge=2, description="Depth planes D of the sweep.")
    cnn_dims: tuple[int, int, int] = Field(
        default=(64, 96, 128), description="Widths of the CNN stages."
    )
    num_transformer_layers: int = Field(
        default=6, ge=1, description="Layers of the multi-view transformer."
    )
    ffn_dim_expansion: int = Field(
        default=4, ge=1, description="Widening of its feed-forward part."
    )
    multiview_trans_attn_split: int = Field(
        default=2, ge=2, description="Attention windows along each side of the feature map."
    )
    costvolume_unet_feat_dim: int = Field(
        default=128, ge=8, multiple_of=8, description="Width of the cost-volume U-Net."
    )
    costvolume_unet_channel_mult: tuple[int, ...] = Field(
        default=(1, 1, 1), min_length=1, description="Width multiplier per level of that U-Net."
    )
    costvolume_unet_attn_res: tuple[int, ...] = Field(
        default=(4,), description="Down-sampling rates at which that U-Net attends across views."
    )
    depth_unet_feat_dim: int = Field(
        default=32, ge=4, multiple_of=4, description="Width of the full-resolution depth U-Net."
    )
    depth_unet_channel_mult: tuple[int, ...] = Field(
        default=(1, 1, 1, 1, 1),
        min_length=1,
        description="Width multiplier per level of that U-Net.",
    )
    depth_unet_attn_res: tuple[int, ...] = Field(
        default=(16,), description="Down-sampling rates at which that U-Net attends across views."
    )
    unet_head_channels: int = Field(
        default=32, ge=1, description="Channels per attention head, U-Nets."
    )
    gaussians_per_pixel: int = Field(
        default=1, ge=1, description="Gaussians along every pixel's ray."
    )
    gaussian_scale_min: float = Field(
        default=0.5, gt=0, description="Smallest scale, about in pixels."
    )
    gaussian_scale_max: float = Field(
        default=15.0, gt=0, description="Largest scale, about in pixels."
    )
    sh_degree: int = Field(
        default=HIGHEST_DEGREE,
        ge=0,
        le=HIGHEST_DEGREE,
        description="Degree of the predicted harmonics.",
    )
    opacity_exponent: float = Field(
        default=0.0,
        description="x of the density-to-opacity map at the checkpoint's training step.",
    )

    @model_validator(mode="after")
    def _widths_fit(self) -> "EncoderConfig":
        for name, width, multipliers, rates in (
            (
                "costvolume_unet",
                self.costvolume_unet_feat_dim,
                self.costvolume_unet_channel_mult,
                self.costvolume_unet_attn_res,
            ),
            (
                "depth_unet",
                self.depth_unet_feat_dim,
                self.depth_unet_channel_mult,
                self.depth_unet_attn_res,
            ),
        ):
            for level, multiplier in enumerate(multipliers):
                channels = width * multiplier
                if 2**level in rates and channels % self.unet_head_channels:
                    raise ValueError(
                        f"{name}: {channels} channels at rate {2**level} cannot be split into "
                        f"heads of {self.unet_head_channels}"
                    )
        if self.gaussian_scale_min >= self.gaussian_scale_max:
            raise ValueError("gaussian_scale_min must be below gaussian_scale_max")
        return self

    @property
    def legal_multiple(self) -> int:
        """Both image sides must be multiples of this: 16 for official sizes."""
        windows = DOWNSCALE * self.multiview_trans_attn_split
        coarse = DOWNSCALE * 2 ** (len(self.costvolume_unet_channel_mult) - 1)
        fine = int(2 ** (len(self.depth_unet_channel_mult) - 1))
        return math.lcm(windows, coarse, fine)

    @property
    def raw_channels(self) -> int:
        """Numbers per pixel that the network hands to the Gaussian adapter (84 officially)."""
        return 2 + 3 + 4 + 3 * (self.sh_degree + 1) ** 2


class MVSplatConfig(CheckpointOptions):
    """Options of the regression model ``mvsplat``."""

    weights: str = Field(
        default="re10k",
        min_length=1,
        description="'re10k' or 'acid' (the official files), a path to a .ckpt or .safetensors "
        "file, or 'random' (seeded, for tests and timing).",
    )
    seed: int = Field(default=0, ge=0, description="Seed of weights='random'.")
    encoder: EncoderConfig = Field(default=EncoderConfig(), description="Sizes of the network.")
    dtype: Literal["auto", "native", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Precision of the network; geometry is float32 always. auto: bfloat16 on CUDA, "
        "float32 elsewhere; native: also bfloat16 on a processor that has it.",
    )
    encode_size: tuple[int, int] | None = Field(
        default=None,
        description="(height, width) at which the inputs are encoded; default: the scene's size. "
        "The targets are rendered at the scene's size in any case.",
    )
    size_rule: SizeRule = Field(
        default="resize",
        description="What to do when the encode size is not legal (sides must be multiples of 16): "
        "'resize' scales to the nearest legal size and keeps the whole view, 'crop' cuts the "
        "centre as the authors' data loader does, 'strict' refuses.",
    )
    near: float | None = Field(
        default=None,
        gt=0,
        description="Nearest depth in scene units; default: the scene's, else 1.",
    )
    far: float | None = Field(
        default=None,
        gt=0,
        description="Farthest depth in scene units; default: the scene's, else 100.",
    )
    normalise_scale: bool = Field(
        default=True,
        description="Encode in units of `near`, as in training (near = 1), so that results do not "
        "depend on the unit of the poses; off: pass the scene's unit on, as upstream does.",
    )
    principal_point: Literal["exact", "centred"] = Field(
        default="exact",
        description="'centred' renders as upstream does, which ignores off-centre principal "
        "points; 'exact' renders what the target camera sees.",
    )
    background: tuple[float, float, float] = Field(
        default=(0.0, 0.0, 0.0), description="Colour behind all Gaussians, RGB in [0, 1]."
    )
    rasterizer: str = Field(
        default="auto", description="Back-end of the core's Gaussian renderer ('auto' chooses)."
    )

    @model_validator(mode="after")
    def _range_is_ordered(self) -> "MVSplatConfig":
        if self.near is not None and self.far is not None and self.near >= self.far:
            raise ValueError(f"near ({self.near:g}) must be below far ({self.far:g})")
        return self
