"""Options of ViewCrafter (torch-free); the defaults are the official 1024x576, 25-frame model."""

from typing import Literal, Self

from pydantic import Field, model_validator

from sphinx_framework.options import CheckpointOptions, Options

DEFAULT_PROMPT = "Rotating view of a scene"

Solver = Literal["ddim", "euler", "dpmpp_2m", "unipc"]
Spacing = Literal["uniform_trailing", "uniform"]


class UNetConfig(Options):
    """Sizes of the denoising network."""

    in_channels: int = Field(
        default=8, ge=2, description="noisy latent and condition latent channels"
    )
    out_channels: int = Field(default=4, ge=1, description="channels of the predicted latent")
    model_channels: int = Field(
        default=320, ge=32, multiple_of=32, description="channels at full latent resolution"
    )
    channel_mult: tuple[int, ...] = Field(
        default=(1, 2, 4, 4), min_length=1, description="channels of each level, over the first"
    )
    num_res_blocks: int = Field(
        default=2, ge=1, description="residual blocks per level on the way down"
    )
    attention_resolutions: tuple[int, ...] = Field(
        default=(1, 2, 4), description="down-sampling factors of the levels that have transformers"
    )
    head_channels: int = Field(default=64, ge=1, description="channels per attention head")
    context_dim: int = Field(default=1024, ge=1, description="width of text and image tokens")
    transformer_depth: int = Field(default=1, ge=1, description="blocks of each transformer")


class AutoencoderConfig(Options):
    """Sizes of the Stable-Diffusion KL autoencoder."""

    channels: int = Field(default=128, ge=32, multiple_of=32, description="at full resolution")
    channel_mult: tuple[int, ...] = Field(
        default=(1, 2, 4, 4), min_length=1, description="channels of each level, over the first"
    )
    num_res_blocks: int = Field(default=2, ge=1, description="residual blocks per level")
    latent_channels: int = Field(default=4, ge=1, description="channels of a latent")
    scale_factor: float = Field(
        default=0.18215, gt=0, description="latents are posterior means times this"
    )


class ImageTowerConfig(Options):
    """Sizes of the OpenCLIP image tower (ViT-H/14)."""

    image_size: int = Field(default=224, ge=1, description="pixels along a side of what it sees")
    patch_size: int = Field(default=14, ge=1, description="pixels along a side of a patch")
    width: int = Field(default=1280, ge=1, description="channels of its tokens")
    layers: int = Field(default=32, ge=1, description="transformer blocks")
    head_width: int = Field(default=80, ge=1, description="channels per attention head")


class TextTowerConfig(Options):
    """Sizes of the OpenCLIP text tower; ``layers`` counts the last block, which is not run."""

    context_length: int = Field(default=77, ge=2, description="tokens of a text")
    vocab_size: int = Field(default=49408, ge=4, description="known tokens")
    width: int = Field(default=1024, ge=1, description="channels of its tokens")
    heads: int = Field(default=16, ge=1, description="attention heads")
    layers: int = Field(default=24, ge=2, description="transformer blocks")
    embed_dim: int = Field(
        default=1024, ge=1, description="of CLIP's joint space; only checked in weights"
    )


class ResamplerConfig(Options):
    """Sizes of the network that turns CLIP image tokens into context tokens."""

    dim: int = Field(default=1024, ge=1, description="channels inside")
    depth: int = Field(default=4, ge=1, description="attention blocks")
    head_channels: int = Field(default=64, ge=1, description="channels per attention head")
    heads: int = Field(default=12, ge=1, description="attention heads")
    num_queries: int = Field(default=16, ge=1, description="context tokens per frame")
    video_length: int = Field(default=16, ge=1, description="frames the queries were trained for")
    embedding_dim: int = Field(default=1280, ge=1, description="width of the CLIP image tokens")
    output_dim: int = Field(default=1024, ge=1, description="width of the context tokens")
    feed_forward_mult: int = Field(
        default=4, ge=1, description="width of the feed-forward layers, over dim"
    )


class DiffusionConfig(Options):
    """The noise that the network was trained against."""

    train_steps: int = Field(default=1000, ge=2, description="noise levels of the training")
    linear_start: float = Field(
        default=0.00085, gt=0, description="first beta of the scaled linear schedule"
    )
    linear_end: float = Field(
        default=0.012, gt=0, lt=1, description="last beta of the scaled linear schedule"
    )
    zero_terminal_snr: bool = Field(
        default=True, description="the last training step is pure noise"
    )
    dynamic_rescale: bool = Field(
        default=True, description="clean latents shrink towards noisy steps"
    )
    base_scale: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="of the dynamic rescale: 0.3 for 1024 models, 0.7 for 512",
    )
    turning_step: int = Field(
        default=400, ge=1, description="the rescale is linear up to this step"
    )


class ViewCrafterConfig(CheckpointOptions):
    """Options of ``viewcrafter``."""

    weights: str = Field(
        default="ViewCrafter_25_sparse",
        description="ViewCrafter_25_sparse, ViewCrafter_25, ViewCrafter_16, ViewCrafter_25_512 "
        "(downloaded from the Hugging Face hub), the path of a checkpoint, or 'random'",
    )
    seed: int = Field(default=0, description="of random weights")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="of all networks; the authors run float16 on a GPU"
    )

    prompt: str = Field(default=DEFAULT_PROMPT, description="text of the conditional branch")
    negative_prompt: str = Field(default="", description="text of the unconditional branch")
    guidance: float = Field(
        default=7.5, ge=1, description="classifier-free guidance; 1 runs one branch"
    )
    guidance_rescale: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="pull of the guided prediction to the conditional deviation",
    )
    solver: Solver = Field(
        default="ddim",
        description='"ddim" (the authors\'), or, for few steps, "euler", "dpmpp_2m" or "unipc", '
        "which draw no noise",
    )
    eta: float = Field(
        default=1.0, ge=0, le=1, description="fresh noise per step; 0 is deterministic DDIM"
    )
    spacing: Spacing = Field(
        default="uniform_trailing", description="which training steps are visited"
    )
    final: Literal["sample", "denoised"] = Field(
        default="sample",
        description="sample: the authors' last state, with a trace of noise left; denoised: the "
        "last prediction itself",
    )
    frame_stride: int = Field(
        default=10, ge=0, description="value of the network's frame rate condition"
    )
    clip_frames: int = Field(default=25, ge=3, description="frames of the longest clip")
    per_frame_context: bool = Field(
        default=False,
        description="give every frame its own image tokens: ViewCrafter_16 with 16-frame clips; "
        "the 25-frame models share all tokens",
    )
    coarse_colours: Literal["straight", "premultiplied"] = Field(
        default="straight",
        description="whether the coarse views' colours are divided by their opacity; the network "
        "is conditioned on premultiplied ones (black holes)",
    )
    condition_posterior: Literal["sample", "mean"] = Field(
        default="sample",
        description="how condition latents are drawn from the autoencoder's posterior",
    )
    posterior_seed: int = Field(default=123, description="of that draw")
    autoencoder_batch: int = Field(default=1, ge=1, description="frames encoded or decoded at once")

    diffusion: DiffusionConfig = Field(
        default=DiffusionConfig(), description="the noise that the network was trained against"
    )
    unet: UNetConfig = Field(default=UNetConfig(), description="sizes of the denoising network")
    autoencoder: AutoencoderConfig = Field(
        default=AutoencoderConfig(), description="sizes of the autoencoder"
    )
    image_tower: ImageTowerConfig = Field(
        default=ImageTowerConfig(), description="sizes of the image tower"
    )
    text_tower: TextTowerConfig = Field(
        default=TextTowerConfig(), description="sizes of the text tower"
    )
    resampler: ResamplerConfig = Field(
        default=ResamplerConfig(), description="sizes of the image context network"
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        unet, latent = self.unet, self.autoencoder.latent_channels
        if (unet.in_channels, unet.out_channels) != (2 * latent, latent):
            raise ValueError(
                f"the U-Net maps {unet.in_channels} to {unet.out_channels} channels, but latents "
                f"have {latent}: it must map {2 * latent} to {latent}"
            )
        for name, width in (
            ("resampler.output_dim", self.resampler.output_dim),
            ("text_tower.width", self.text_tower.width),
        ):
            if width != unet.context_dim:
                raise ValueError(f"{name} is {width}, unet.context_dim is {unet.context_dim}")
        if unet.model_channels % unet.head_channels:
            raise ValueError(
                f"unet.head_channels {unet.head_channels} does not divide unet.model_channels "
                f"{unet.model_channels}"
            )
        if self.resampler.embedding_dim != self.image_tower.width:
            raise ValueError(
                f"resampler.embedding_dim is {self.resampler.embedding_dim}, image_tower.width is "
                f"{self.image_tower.width}"
            )
        return self


def tiny_config(**options: object) -> ViewCrafterConfig:
    """Random networks of a few hundred thousand parameters, for tests and trials on a CPU.

    Latents are an eighth of the image as in the official models; sides must be multiples of 16.
    """
    tiny: dict[str, object] = {
        "weights": "random",
        "clip_frames": 9,
        "unet": UNetConfig(
            model_channels=32,
            channel_mult=(1, 2),
            num_res_blocks=1,
            attention_resolutions=(1, 2),
            head_channels=16,
            context_dim=32,
        ),
        "autoencoder": AutoencoderConfig(channels=32, channel_mult=(1, 1, 1, 1), num_res_blocks=1),
        "image_tower": ImageTowerConfig(
            image_size=28, patch_size=14, width=32, layers=2, head_width=16
        ),
        "text_tower": TextTowerConfig(
            context_length=12, vocab_size=64, width=32, heads=2, layers=2, embed_dim=24
        ),
        "resampler": ResamplerConfig(
            dim=32,
            depth=1,
            head_channels=16,
            heads=2,
            num_queries=2,
            video_length=4,
            embedding_dim=32,
            output_dim=32,
        ),
    }
    return ViewCrafterConfig.model_validate(tiny | options)
