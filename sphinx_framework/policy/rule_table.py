"""One k rule: rows of quality ratios and the start steps they allow (torch-free)."""

from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field, model_validator

from sphinx_framework.options import Options

Row = tuple[float, float, int]


class RuleTable(Options):
    """The rule of one quality and cluster: rows ``[low, high, start]`` for ``low <= ratio < high``.

    Rows are contiguous and rise in ratio and start. A ratio at or above the last ``high`` is good
    enough to serve the regression frame; one below the first ``low`` starts at 0.
    """

    quality: float = Field(gt=0, le=1)
    cluster: int | None = Field(default=None, ge=0)
    rows: tuple[Row, ...] = Field(min_length=1)
    samples: tuple[int, ...] = Field(
        default=(), description="per row: how many measurements it rests on"
    )
    lower_bound: tuple[float, ...] = Field(
        default=(),
        description="per row: lower confidence bound of the achieved share of full diffusion",
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
            if before[2] > after[2]:
                raise ValueError(f"start falls from row {list(before)} to row {list(after)}")
        for name in ("samples", "lower_bound", "full_ratio"):
            if len(getattr(self, name)) not in (0, len(self.rows)):
                raise ValueError(f"{name} needs one entry per row ({len(self.rows)})")
        return self


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
