"""Options of the quality estimator (torch-free)."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import CheckpointOptions


class MusiqConfig(CheckpointOptions):
    """Options of ``musiq``."""

    weights: str = Field(
        default="koniq10k",
        description="koniq10k (the paper's), spaq or paq2piq: pyiqa's files, from the hub; or a "
        "checkpoint's path; or random (tests)",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="arithmetic of the network; auto: float16 on CUDA, float32 elsewhere",
    )
    batch: int = Field(default=8, ge=1, description="images scored at once")
    seed: int = Field(default=0, description="of random weights")
