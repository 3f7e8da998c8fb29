"""Options of the embedded models (torch-free)."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import Options

WEIGHTS = (
    "'packaged' (trained weights that ship with the plugin), 'random' (untrained, for tests), or "
    "the path of a folder with the same file names."
)


class RegressionConfig(Options):
    """Options of the regression model."""

    stride: Literal[1, 2] = Field(
        default=1,
        description="1 splats a Gaussian per pixel; 2 one per 2x2 pixels, which is smoother, as "
        "feed-forward Gaussian models are, and leaves detail to the diffusion stage.",
    )
    depth_side: int = Field(
        default=128,
        ge=32,
        description="Depth is estimated at most at this shorter side, in pixels.",
    )
    photometric: bool = Field(
        default=True,
        description="Move the network's depth to where the photos agree: sharper renders for a "
        "fraction of the network's time.",
    )
    weights: str = Field(default="packaged", description=WEIGHTS)


class DiffusionConfig(Options):
    """Options of the diffusion model."""

    max_frames: int = Field(
        default=24,
        ge=4,
        description="Frames (inputs and targets) of one clip; more targets are chunked.",
    )
    solver: Literal["euler", "dpmpp_2m", "unipc"] = Field(
        default="euler",
        description="Solver of the noise schedule; dpmpp_2m and unipc are made for few steps.",
    )
    sigma_min: float = Field(default=0.01, gt=0, description="Smallest noise level of the grid.")
    sigma_max: float = Field(default=8.0, gt=0, description="Noise level of step 0.")
    rho: float = Field(default=7.0, gt=0, description="Karras spacing of the noise levels.")
    temperature: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the noise that walks start with: 1 draws a sample of what may be, "
        "less is nearer to the mean of it.",
    )
    precision: Literal["float32", "bfloat16", "native"] = Field(
        default="float32",
        description="Arithmetic of the U-Net; bfloat16 is faster where the processor has it, and "
        "'native' takes it there only (frames then differ between machines by rounding).",
    )
    depth_side: int = Field(
        default=128,
        ge=32,
        description="Depth is estimated at most at this shorter side, in pixels; only "
        "where the regression stage does not say the inputs' depth.",
    )
    weights: str = Field(default="packaged", description=WEIGHTS)


class QualityConfig(Options):
    """Options of the quality estimator."""

    use_opacity: bool = Field(
        default=True, description="Use the head that sees opacity where opacity is given."
    )
    use_evidence: bool = Field(
        default=True,
        description="Judge by the photos, their render and their warps where those are given.",
    )
    weights: str = Field(default="packaged", description=WEIGHTS)


class EmbedderConfig(Options):
    """Options of the scene embedder."""

    bins: int = Field(
        default=6, ge=2, le=32, description="Histogram bins per colour axis and gradient."
    )


class ProceduralConfig(Options):
    """Options of the built-in scenes."""

    height: int = Field(default=96, ge=16, description="Image height in pixels.")
    width: int = Field(default=96, ge=16, description="Image width in pixels.")
    targets: int = Field(default=6, ge=1, description="Number of target views between the inputs.")
    baseline: float | None = Field(
        default=None,
        gt=0,
        le=1.5,
        description="Input distance over scene distance; drawn when unset.",
    )
