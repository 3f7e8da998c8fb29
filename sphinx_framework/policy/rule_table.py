"""One rule: rows of quality ratios and the plans that they allow (torch-free)."""

from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field, model_validator

from sphinx_framework.frame_plan import FramePlan, Walk, as_rendered
from sphinx_framework.options import Options

Row = tuple[float, float, int]


class RuleTable(Options):
    """The rule of one quality and cluster: rows ``[low, high, start]`` for ``low <= ratio < high``.

    Rows are contiguous and rise in ratio and start. A ratio at or above the last ``high`` is good
    enough to serve the regression frame; one below the first ``low`` starts at 0.

    With ``steps`` every row is a plan of the whole space (start, steps, solver): starts may fall,
    but the number of steps that a frame takes never rises with its ratio (:class:`.rules.Rules`
    checks). The rows then begin at ratio 0.
    """

    quality: float = Field(gt=0, le=1)
    cluster: int | None = Field(default=None, ge=0)
    rows: tuple[Row, ...] = Field(min_length=1)
    steps: tuple[int, ...] = Field(
        default=(),
        description="per row: solver steps over what remains after its start; 0: as the pipeline's "
        "[plan] walks, like rows without it",
    )
    solvers: tuple[str, ...] = Field(
        default=(), description="per row: the solver; empty: the pipeline's own"
    )
    samples: tuple[int, ...] = Field(
        default=(), description="per row: how many measurements it rests on"
    )
    lower_bound: tuple[float, ...] = Field(
        default=(),
        description="per row: lower confidence bound of the quality kept (of the objective)",
    )
    full_ratio: tuple[float, ...] = Field(
        default=(), description="per row: mean ratio that full diffusion reaches on such frames"
    )
    served_samples: int = Field(
        default=0, ge=0, description="measurements of frames that are served as rendered"
    )
    served_bound: float | None = Field(
        default=None, description="their lower confidence bound of the achieved share"
    )
    notes: str = ""

    @model_validator(mode="after")
    def _is_a_monotone_rule(self) -> "RuleTable":
        for low, high, start in self.rows:
            if not low < high:
                raise ValueError(f"row [{low}, {high}, {start}]: low must be below high")
            if low < 0 or start < 0:
                raise ValueError(f"row [{low}, {high}, {start}]: must not be negative")
        for before, after in pairwise(self.rows):
            if before[1] != after[0]:
                raise ValueError(f"rows {list(before)} and {list(after)} leave a gap or overlap")
            if before[2] > after[2] and not self.steps:
                raise ValueError(f"start falls from row {list(before)} to row {list(after)}")
        if self.solvers and not self.steps:
            raise ValueError("solvers needs steps")
        if any(count < 0 for count in self.steps):
            raise ValueError("steps must not be negative")
        if self.steps and self.rows[0][0] != 0:
            raise ValueError("with steps, the rows begin at ratio 0")
        for name in ("steps", "solvers", "samples", "lower_bound", "full_ratio"):
            if len(getattr(self, name)) not in (0, len(self.rows)):
                raise ValueError(f"{name} needs one entry per row ({len(self.rows)})")
        return self


def plan_of(table: RuleTable, ratio: float, num_steps: int) -> FramePlan:
    """The plan for a ratio, on the rules' grid: of a table with or without ``steps``."""
    if ratio >= table.rows[-1][1]:
        return as_rendered(num_steps)
    row = row_of(table.rows, ratio)
    if row is None and table.steps:  # a ratio below 0
        row = 0
    return FramePlan(0) if row is None else row_plan(table, row)


def row_plan(table: RuleTable, row: int) -> FramePlan:
    """What one row says."""
    steps = table.steps[row] if table.steps else 0
    solver = table.solvers[row] if table.solvers else ""
    return FramePlan(table.rows[row][2], Walk(steps or None, solver or None))


def row_of(rows: Sequence[Row], ratio: float) -> int | None:
    """Index of the row that holds a ratio, or ``None`` below the first and above the last."""
    for index, (low, high, _) in enumerate(rows):
        if low <= ratio < high:
            return index
    return None


def start_of(rows: Sequence[Row], ratio: float, num_steps: int) -> int:
    """The piecewise constant rule, as measured.

    The start of the row that holds the ratio; above the last row ``num_steps``, below the first 0.
    """
    if ratio >= rows[-1][1]:
        return num_steps
    row = row_of(rows, ratio)
    return 0 if row is None else rows[row][2]


def full_ratio_of(table: RuleTable, ratio: float) -> float | None:
    """Mean ratio of full diffusion on frames of this ratio, or ``None`` if the table has none.

    Outside of the rows the nearest one counts.
    """
    if not table.full_ratio:
        return None
    row = row_of(table.rows, ratio)
    outside = 0 if ratio < table.rows[0][0] else -1
    return table.full_ratio[outside if row is None else row]
