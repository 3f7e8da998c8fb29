"""Tables of a study: means over scenes with intervals; what is missing is 'not measured'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sphinx_framework.study.evaluate.records import Measured
from sphinx_framework.study.report.intervals import Interval, over_scenes

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
    Column(key="frames_met", head="frames that met", percent=True),
    Column(key="psnr", head="PSNR"),
    Column(key="ssim", head="SSIM", digits=3),
    Column(key="lpips", head="LPIPS", digits=3),
    Column(key="features", head="feature distance", digits=4),
    Column(key="gms", head="gradient sim.", digits=3),
    Column(key="score", head="score", digits=3),
    Column(key="sharpness", head="log sharpness"),
    Column(key="hole_psnr", head="hole PSNR"),
    Column(key="hole_gms", head="hole gradient sim.", digits=3),
    Column(key="drift", head="drift", digits=4),
    Column(key="drift_worst", head="worst drift", digits=4),
    Column(key="feature_drift", head="feature drift", digits=5),
    Column(key="feature_drift_worst", head="worst feature drift", digits=5),
    Column(key="served_as_is", head="served as is", percent=True),
    Column(key="frame_steps", head="frame steps", digits=0),
    Column(key="joules", head="joules", digits=1),
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


def table(
    rows: Rows, marks: Mapping[str, str] | None = None, columns: Sequence[Column] = COLUMNS
) -> list[list[str]]:
    """Heads, then one line per system: name, figures, 95th percentile of seconds.

    marks: an extra first column after the name, by system; absent systems stay blank.
    """
    mark_head = [] if marks is None else ["Pareto front"]
    lines = [["system", *mark_head, *(c.head for c in columns), "P95 seconds"]]
    by_column = [intervals(rows, c.key) for c in columns]
    tail = p95(rows)
    for system in rows:
        mark = [] if marks is None else [marks.get(system, "")]
        cells = [cell(by[system], c) for by, c in zip(by_column, columns, strict=True)]
        lines.append([system, *mark, *cells, f"{tail[system]:.2f}"])
    return lines


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table of text cells; the first line is the head."""
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    rows.insert(1, "|---" * len(lines[0]) + "|")
    return "\n".join(rows) + "\n"


def stage_table(rows: Rows, stages: Sequence[str]) -> list[list[str]]:
    """Mean and 95th percentile of the seconds of every stage, one line per system."""
    lines = [["system", *stages]]
    for system, scenes in rows.items():
        cells = []
        for stage in stages:
            values = [scene[f"seconds_{stage}"] for scene in scenes]
            cells.append(f"{np.mean(values):.3f} / {np.quantile(values, 0.95):.3f}")
        lines.append([system, *cells])
    return lines
