"""Options of the components (no torch here)."""

from pydantic import Field

from sphinx_framework.options import Options


class ViewOptions(Options):
    """Options of the regression model."""

    softness: float = Field(default=0.0, ge=0, le=1, description="how uncertain every pixel is")


class SeedOptions(Options):
    """Options of the diffusion models, whose weights are random."""

    seed: int = Field(default=0, ge=0, description="of the weights")
    solver: str = Field(
        default="euler", pattern="^(euler|dpmpp_2m)$", description="euler or dpmpp_2m"
    )
