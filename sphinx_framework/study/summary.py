"""Tables of an evaluation: means over scenes with intervals; what is missing is 'not measured'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sphinx_framework.study.evaluation import Measured
from sphinx_framework.study.intervals import Interval, over_scenes

NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One figure of the table."""

    key: str
    head: str
    digits: int = 2
    percent: bool = False


COLUMNS = (
    Column(key="seconds", head="seconds"),
    Column(key="speedup", head="speed-up"),
    Column(key="kept", head="score kept", digits=3),
    Column(key="met", head="scenes that met", percent=True),
    Column(key="psnr", head="PSNR"),
    Column(key="ssim", head="SSIM", digits=3),
    Column(key="gms", head="gradient sim.", digits=3),
    Column(key="sharpness", head="log sharpness"),
    Column(key="hole_psnr", head="hole PSNR"),
    Column(key="hole_gms", head="hole gradient sim.", digits=3),
    Column(key="drift", head="drift", digits=4),
    Column(key="drift_worst", head="worst drift", digits=4),
    Column(key="frame_steps", head="frame steps", digits=0),
)
Rows = Mapping[str, Sequence[Measured]]


def intervals(rows: Rows, key: str) -> dict[str, Interval]:
    """One interval per system."""
    return {
        system: over_scenes([scene.get(key, float("nan")) for scene in scenes])
        for system, scenes in rows.items()
    }


def p95(rows: Rows, key: str = "seconds") -> dict[str, float]:
    """95th percentile over scenes."""
    return {
        system: float(np.quantile([scene[key] for scene in scenes], 0.95))
        for system, scenes in rows.items()
    }


def cell(interval: Interval, column: Column) -> str:
    """Text of one cell."""
    if interval.count == 0:
        return NOT_MEASURED
    if column.percent:
        return f"{interval.mean:.0%}"
    return interval.text(column.digits)


def markdown_table(rows: Rows, columns: Sequence[Column] = COLUMNS) -> str:
    """One line per system, one column per figure, plus the 95th percentile of seconds."""
    heads = [*(c.head for c in columns), "P95 seconds"]
    by_column = [intervals(rows, c.key) for c in columns]
    tail = p95(rows)
    lines = ["| system | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for system in rows:
        cells = [cell(by[system], c) for by, c in zip(by_column, columns, strict=True)]
        lines.append(f"| {system} | " + " | ".join([*cells, f"{tail[system]:.2f}"]) + " |")
    return "\n".join(lines) + "\n"
