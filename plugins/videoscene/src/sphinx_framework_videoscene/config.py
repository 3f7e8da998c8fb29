"""Options of the VideoScene component; the defaults are the official checkpoint's."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import CheckpointOptions, Options

# As in the authors' training: log sigma of the noise on the condition photos is N(-3, 0.5).
MEAN_CONDITION_SIGMA = 0.0498


class TransformerConfig(Options):
    """Sizes of the CogVideoX transformer, by the names that diffusers gives them."""

    num_attention_heads: int = Field(default=48, ge=1, description="heads of every attention")
    attention_head_dim: int = Field(default=64, ge=2, description="channels of a head")
    in_channels: int = Field(default=32, ge=2, description="noisy and condition latents together")
    out_channels: int = Field(default=16, ge=1, description="channels of a latent")
    time_embed_dim: int = Field(default=512, ge=1, description="channels of the timestep embedding")
    text_embed_dim: int = Field(default=4096, ge=1, description="channels of the text embedding")
    num_layers: int = Field(default=42, ge=1, description="transformer blocks")
    sample_width: int = Field(default=90, ge=2, description="latent cells along a row")
    sample_height: int = Field(default=60, ge=2, description="latent cells along a column")
    sample_frames: int = Field(default=49, ge=1, description="frames of a clip, 8k + 1")
    patch_size: int = Field(default=2, ge=1, description="latent cells along the side of a token")
    temporal_compression_ratio: int = Field(default=4, ge=1, description="frames of a latent")
    max_text_seq_length: int = Field(default=226, ge=1, description="tokens of the text embedding")


class AutoencoderConfig(Options):
    """Sizes of the CogVideoX video autoencoder, by the names that diffusers gives them."""

    block_out_channels: tuple[int, ...] = Field(
        default=(128, 256, 256, 512), description="channels of its levels"
    )
    latent_channels: int = Field(default=16, ge=1, description="channels of a latent")
    layers_per_block: int = Field(default=3, ge=1, description="residual blocks of a level")
    norm_num_groups: int = Field(default=32, ge=1, description="groups of its normalisation")
    temporal_compression_ratio: int = Field(default=4, ge=1, description="frames of a latent")
    sample_height: int = Field(default=480, ge=8, description="pixels of a tile along a column")
    sample_width: int = Field(default=720, ge=8, description="pixels of a tile along a row")
    scaling_factor: float = Field(default=0.7, gt=0, description="latents are multiplied by it")


class VideoSceneConfig(CheckpointOptions):
    """Where weights come from, and how clips are conditioned and walked."""

    weights: str = Field(
        default="videoscene",
        description="checkpoint of the transformer that is laid over the base model's: "
        "'videoscene' (the authors' files, in the folder they were downloaded to), a file, "
        "'base' (the base model alone), or 'random' (noise: for tests and timing)",
    )
    prompt_embeds: str | None = Field(
        default=None,
        description="file with the text embedding; none is prompt_embeds.pt beside the weights",
    )
    prompt_embeds_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-fA-F]{8,64}$",
        description="SHA-256 of that file, or its first digits; checked when given",
    )
    base: str = Field(
        default="feizhengcong/CogvideoX-Interpolation",
        description="folder or hub repository with transformer/ and vae/ of the base model",
    )
    base_revision: str | None = Field(
        default=None, description="commit of the base model's repository"
    )
    seed: int = Field(default=0, ge=0, description="of random weights")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        default="bfloat16", description="of the networks"
    )
    solver: Literal["ddim", "lcm"] = Field(
        default="ddim",
        description="of walks with several steps: deterministic, or with fresh noise",
    )
    condition_sigma: float = Field(
        default=MEAN_CONDITION_SIGMA,
        ge=0,
        description="noise on the two photos that condition a clip, as in training; always the "
        "same draw",
    )
    tiling: bool = Field(
        default=True,
        description="decode in overlapping tiles: the autoencoder needs about 20 GB without",
    )
    transformer: TransformerConfig = Field(
        default=TransformerConfig(), description="sizes of the transformer"
    )
    autoencoder: AutoencoderConfig = Field(
        default=AutoencoderConfig(), description="sizes of the video autoencoder"
    )

    @property
    def frames(self) -> int:
        """Frames of a clip, the two photos at its ends included."""
        return self.transformer.sample_frames


def tiny_config() -> VideoSceneConfig:
    """A network of a few thousand parameters: 9 frames of 32x48 pixels, random weights."""
    return VideoSceneConfig(
        weights="random",
        dtype="float32",
        tiling=False,
        transformer=TransformerConfig(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=8,
            out_channels=4,
            time_embed_dim=24,
            text_embed_dim=12,
            num_layers=2,
            sample_width=6,
            sample_height=4,
            sample_frames=9,
            max_text_seq_length=5,
        ),
        autoencoder=AutoencoderConfig(
            block_out_channels=(8, 8, 12, 12),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=4,
            sample_height=32,
            sample_width=48,
        ),
    )
