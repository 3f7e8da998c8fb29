"""Options of the mask components, the opacity threshold first (torch-free)."""

from typing import Literal

from pydantic import Field, model_validator

from sphinx_framework.options import Options


class OpacityConfig(Options):
    """Options of ``opacity``: threshold, combination over views, smoothing."""

    opacity_below: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="opacity threshold: refine pixels whose opacity is below this",
    )
    union: bool = Field(
        default=False,
        description="refine a pixel in every view when any view marks it, as the authors do; "
        "the same pixel of different cameras shows different places",
    )
    smooth: bool = Field(default=True, description="close, open and density-filter the masks")
    close: int = Field(
        default=5, ge=1, description="window of the closing in pixels, odd; 1 leaves it out"
    )
    open: int = Field(
        default=3, ge=1, description="window of the opening in pixels, odd; 1 leaves it out"
    )
    density_window: int = Field(
        default=9, ge=1, description="window of the density filter in pixels, odd"
    )
    density_count: int = Field(
        default=25,
        ge=0,
        description="keep a pixel when at least so many pixels of its window are marked",
    )
    min_area: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="a view with a smaller marked share needs no refinement",
    )

    @model_validator(mode="after")
    def _windows_are_odd(self) -> "OpacityConfig":
        for name in ("close", "open", "density_window"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} must be odd, got {getattr(self, name)}")
        if self.density_count > self.density_window**2:
            raise ValueError(
                f"density_count {self.density_count} exceeds the {self.density_window**2} pixels "
                f"of its window"
            )
        return self


class OpacityBlurConfig(OpacityConfig):
    """Options of ``opacity-blur``: those of ``opacity`` and how blur is found."""

    blur: bool = Field(default=True, description="mark blurry pixels too")
    blur_reference: Literal["otsu", "inputs"] = Field(
        default="otsu",
        description="otsu: split every view at its own Otsu threshold (the paper's; a sharp view "
        "is split too); inputs: mark what is less sharp than the input photos",
    )
    blur_below: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="blur_reference = inputs: mark pixels with less than this share of the fine "
        "detail that the inputs have for the same structure",
    )
    blur_polarity: Literal["paper", "authors"] = Field(
        default="paper",
        description="paper: a low Laplacian response is blurry; authors: their released code "
        "refines the complement, the edges",
    )
    channel_order: Literal["rgb", "bgr"] = Field(
        default="rgb",
        description="weights of the grey conversion; bgr: red and blue swapped as in the "
        "authors' released code",
    )
    opacity_only_clusters: tuple[int, ...] = Field(
        default=(),
        description="scene clusters whose masks ignore blur; the authors' RE10K rules: (1,)",
    )

    @model_validator(mode="after")
    def _polarity_fits_reference(self) -> "OpacityBlurConfig":
        if self.blur_reference == "inputs" and self.blur_polarity == "authors":
            raise ValueError("blur_polarity = 'authors' needs blur_reference = 'otsu'")
        return self
