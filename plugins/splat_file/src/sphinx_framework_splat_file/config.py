"""Options of the regression model (torch-free)."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import Options


class SplatFileConfig(Options):
    """Which Gaussians, and how they are drawn."""

    file: str = Field(default="", description="path of a .ply or .spz file of 3-D Gaussians")
    rasterizer: Literal["auto", "torch", "numba", "gsplat"] = Field(
        default="auto", description="which renderer draws the Gaussians"
    )
