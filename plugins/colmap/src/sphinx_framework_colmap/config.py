"""Options of the pose estimator (torch-free)."""

from pydantic import Field

from sphinx_framework.options import Options


class ColmapConfig(Options):
    """How cameras are looked for."""

    focal: float | None = Field(
        default=None, gt=0, description="focal length in pixels of the photos; kept as it is"
    )
    guess: float = Field(
        default=0.6,
        gt=0.2,
        lt=4,
        description="focal length over the longer side of a photo (0.6: 80 degrees wide), taken "
        "where neither the photos nor their EXIF settle it",
    )
    max_side: int = Field(
        default=1024, ge=64, description="longer photos are scaled down to this many pixels"
    )
    max_features: int = Field(default=4096, ge=64, description="most features of a photo")
