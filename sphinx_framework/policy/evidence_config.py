"""Options of the evidence guard, apart from its arithmetic: config files are read without torch."""

from pydantic import Field

from sphinx_framework.options import Options


class EvidenceConfig(Options):
    """When a refined frame is served, and when a target is refined at all."""

    guard: bool = Field(
        default=True, description="serve a frame as rendered when it loses what the inputs prove"
    )
    least: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="share of the proven picture that must survive refinement",
    )
    tolerance: float = Field(
        default=0.1,
        gt=0,
        description="change of a cell's mean colour (of 1) that still counts as survived",
    )
    most_lost: float = Field(
        default=1.25,
        ge=0,
        description="dB of PSNR that a refined frame may probably have lost against its render; "
        "used where the quality component can tell",
    )
    min_opacity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="a target with a lower mean opacity is served as rendered: too little of it "
        "is proven for refinement to help; 0 refines every target",
    )
