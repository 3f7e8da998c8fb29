"""Options of the embedder (torch-free)."""

from pydantic import Field

from sphinx_framework.options import CheckpointOptions


class ClipConfig(CheckpointOptions):
    """Options of ``clip``."""

    model: str = Field(default="ViT-B-32", description="open_clip architecture")
    weights: str = Field(
        default="laion2b_s34b_b79k",
        description="open_clip pretrained tag, a checkpoint's path, or random (tests)",
    )
    seed: int = Field(default=0, description="of random weights")
