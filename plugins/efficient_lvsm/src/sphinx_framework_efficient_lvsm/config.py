"""Options of the model (torch-free); the network's defaults are the official sizes."""

from typing import Literal

from pydantic import Field, model_validator

from sphinx_framework.options import CheckpointOptions, Options

Precision = Literal["float32", "bfloat16", "float16"]
FrameRule = Literal["first-inputs", "all"]

OFFICIAL_PATCH = 8


class NetworkConfig(Options):
    """Sizes of the network, under the names of the official configuration."""

    d: int = Field(default=768, ge=1, description="Width of a token.")
    d_head: int = Field(default=64, ge=1, description="Width of an attention head.")
    n_layer: int = Field(default=12, ge=1, description="Layers of each of the two streams.")
    patch_size: int | None = Field(
        default=None,
        ge=1,
        description="Side of a token's patch in pixels; default: what the checkpoint has, 8 for "
        "random weights.",
    )
    use_qk_norm: bool = Field(default=True, description="Normalise queries and keys of every head.")

    @model_validator(mode="after")
    def _heads_fit(self) -> "NetworkConfig":
        if self.d % self.d_head:
            raise ValueError(f"d ({self.d}) must be a multiple of d_head ({self.d_head})")
        return self


class EfficientLVSMConfig(CheckpointOptions):
    """Options of the regression model ``efficient-lvsm``."""

    weights: str = Field(
        default="res256",
        min_length=1,
        description="'res256', 'res512' or 'inc_demo' (the authors' file names, from the "
        "repository that weights_repo names), a path to a .pt or .safetensors file, or 'random' "
        "(seeded, for tests and timing).",
    )
    seed: int = Field(default=0, ge=0, description="Seed of weights='random'.")
    network: NetworkConfig = Field(default=NetworkConfig(), description="Sizes of the network.")
    dtype: Precision = Field(
        default="float32",
        description="Precision of the network; cameras are float32 or better always.",
    )
    short_side: int | None = Field(
        default=256,
        ge=1,
        description="The network sees and renders images whose shorter side has about this many "
        "pixels (256 and 512 in training); none: the scene's own size. Views are then resized to "
        "the scene's size.",
    )
    frame: FrameRule = Field(
        default="first-inputs",
        description="Cameras that fix the coordinate frame. 'first-inputs': the first two photos, "
        "so that more photos and other targets leave everything computed valid; 'all': photos and "
        "targets together, as in training, so that any other camera means computing anew.",
    )
    memory_bytes: int = Field(
        default=4_000_000_000,
        ge=0,
        description="Most bytes that encoded photos and finished views of earlier requests may "
        "take; the longest unused go first. 0 keeps nothing.",
    )
