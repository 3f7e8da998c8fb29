"""The base of every options table, and the one sentence that a wrong value gets (torch-free)."""

from pydantic import BaseModel, ConfigDict, ValidationError


class Options(BaseModel):
    """Immutable, unknown keys refused: what configs, rule files and components' options are."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def first_problem(error: ValidationError) -> str:
    """``table.0.rows: must rise``: where the first thing that is wrong lies, and what it is."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    detail = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {detail}" if key else detail
