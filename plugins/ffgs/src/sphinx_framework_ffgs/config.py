"""Options of ``ffgs``."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import Options


class FfgsConfig(Options):
    """Which model, from where, and how its Gaussians are rendered."""

    weights: str = Field(
        description="name in the package's model zoo (family/variant), folder, or hub repository"
    )
    revision: str | None = Field(default=None, description="commit of a hub repository")
    subfolder: str | None = Field(default=None, description="folder of a variant in the repository")
    trust_code: bool = Field(
        default=False,
        description="run code that the model's repository brings along: read it first",
    )
    crop_mode: Literal["crop", "pad", "none"] | None = Field(
        default=None,
        description="how photos are brought to the model's size; none is the model's way",
    )
    rasterizer: Literal["auto", "torch", "numba", "gsplat"] = Field(
        default="auto", description="back-end of the splatting"
    )
