"""Options of the bridge; names and defaults are those of the stock pipeline's call."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import Options


class StableVideoConfig(Options):
    """``stable-video``."""

    weights: str = Field(
        default="stabilityai/stable-video-diffusion-img2vid-xt",
        description="hub repository or folder of a StableVideoDiffusionPipeline",
    )
    revision: str | None = Field(default=None, description="commit of the hub repository")
    variant: str | None = Field(default=None, description="variant of the files, for example fp16")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        default="float16", description="of the networks"
    )
    clip_frames: int = Field(default=25, ge=3, description="longest clip (14 or 25 in training)")
    min_guidance: float = Field(default=1.0, ge=1, description="guidance of a clip's first frame")
    max_guidance: float = Field(default=3.0, ge=1, description="guidance of a clip's last frame")
    fps: int = Field(default=7, ge=2, description="frames per second that the network is told")
    motion_bucket: int = Field(
        default=127, ge=0, description="amount of motion that the network is told"
    )
    image_noise: float = Field(
        default=0.02,
        ge=0,
        description="noise on the photo that conditions a clip; always the same draw",
    )
    decode_chunk: int = Field(default=14, ge=1, description="frames decoded at a time")
