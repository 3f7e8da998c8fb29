"""The base of every options table, and the one sentence that a wrong value gets (torch-free)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Of images, in pixels. Photos may be larger; no model here renders a quarter of it, and beyond, a
# request's views do not fit into the memory of today's machines.
MAX_SIDE = 8192
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class Options(BaseModel):
    """Immutable, unknown keys refused: what configs, rule files and components' options are."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckpointOptions(Options):
    """A checkpoint and its places, under the same names in every component.

    A component says in a ``weights`` of its own which names it knows and which is the default.
    """

    weights: str = Field(
        default="random", description="a known name, the path of a checkpoint, or 'random'"
    )
    weights_repo: str | None = Field(
        default=None,
        description="Hugging Face repository that has the file, instead of the usual place",
    )
    weights_file: str | None = Field(
        default=None,
        description="name of the file in its repository or folder; none: the usual one",
    )
    weights_revision: str | None = Field(
        default=None,
        description="commit, branch or tag of the repository; none: the pinned commit of ours",
    )
    weights_folder: str | None = Field(
        default=None, description="folder that has the official file, instead of the usual place"
    )
    weights_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-fA-F]{8,64}$",
        description="SHA-256 of the file, or its first digits; checked when given",
    )


def first_problem(error: ValidationError) -> str:
    """``table.0.rows: must rise``: where the first thing that is wrong lies, and what it is."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    detail = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {detail}" if key else detail
