"""Options of the step policies (torch-free)."""

from typing import Literal

from pydantic import Field

from sphinx_framework.options import Options

RE10K_RULES = "sphinx_framework_klogic:re10k_seva_mvsplat.toml"


class KLogicConfig(Options):
    """Options of ``klogic``."""

    rules: str = Field(
        default=RE10K_RULES,
        description="rule file: a path, or package:file for one that a package ships",
    )
    lookup: Literal["table", "interpolated"] = Field(
        default="table",
        description="table: the piecewise constant rule as measured; interpolated: continuous "
        "below it, never a later start than the table's",
    )
    below_first: Literal["zero", "ramp"] = Field(
        default="zero",
        description="ratios below a table's first row: full diffusion, or a start that rises "
        "linearly from ratio 0",
    )
    max_start: int | None = Field(
        default=None,
        ge=0,
        description="latest start step, on the rules' own grid; none: num_steps, which serves the "
        "regression frame as it is; the authors: 40 of 50",
    )
    multiple_of: int = Field(
        default=1,
        ge=1,
        description="round start steps down to a multiple, as of the refresh period",
    )
    cluster: int | None = Field(
        default=None, ge=0, description="scene cluster, fixed; none: nearest centre to the inputs"
    )
    centres: str = Field(
        default="rules",
        description="cluster centres: rules (what the rule file says), prompts (zero-shot from "
        "its text prompts), or the path or address of a .safetensors or .npy file",
    )
    centres_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-fA-F]{8,64}$",
        description="SHA-256 of that file, or its first digits; an address needs it",
    )
    prompts: tuple[str, ...] = Field(
        default=(), description="text prompts, one per cluster, instead of the rule file's"
    )
    min_margin: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="clusters this near in cosine to the nearest one are candidates too, and the "
        "dearest plan of all candidates counts (most steps, then earliest start)",
    )


class FixedConfig(Options):
    """Options of ``fixed``."""

    start: float = Field(default=40, ge=0, le=50, description="start step of every target, of 50")
    steps: int | None = Field(
        default=None, ge=1, description="solver steps over what remains; none: as [plan] walks"
    )
    solver: str | None = Field(default=None, description="of those steps; none: the pipeline's own")
