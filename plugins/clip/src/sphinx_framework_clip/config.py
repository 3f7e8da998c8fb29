"""Options of the embedder (torch-free)."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import CheckpointOptions


class ClipConfig(CheckpointOptions):
    """Options of ``clip``."""

    model: str = Field(default="ViT-B-32", description="open_clip architecture")
    weights: str = Field(
        default="laion2b_s34b_b79k",
        description="open_clip pretrained tag, a checkpoint's path, or random (tests)",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="arithmetic of the network; auto: float16 on CUDA, float32 elsewhere",
    )
    seed: int = Field(default=0, description="of random weights")
