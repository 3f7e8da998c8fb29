"""What ``calibrate`` answers: the grid of plans, fitted rows, and how they do held out."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sphinx_framework.policy.rule_table import RuleTable, row_plan
from sphinx_framework.policy.rules import MEANING
from sphinx_framework.study.calibrate.calibration import Calibration
from sphinx_framework.study.calibrate.fit import UNKNOWN, thin_rows
from sphinx_framework.study.calibrate.grid import GridPoint, grid_points
from sphinx_framework.study.calibrate.held_out import HeldOut
from sphinx_framework.study.calibrate.samples import SceneSample, samples_digest
from sphinx_framework.types import Objective

MEASURE = {"truth": "(SSIM + GMS) / 2", "paper": "of full diffusion's score"}


def as_json(
    out: Path,
    samples: Sequence[SceneSample],
    calibration: Calibration,
    unseen: Sequence[HeldOut],
    objective: Objective,
) -> dict[str, object]:
    """For programs."""
    tables = [
        {
            "quality": rule.quality,
            "cluster": rule.cluster,
            "rows": rule.rows,
            "plans": [row_plan(rule, row).text() for row in range(len(rule.rows))],
            "samples": rule.samples,
            "lower_bound": rule.lower_bound,
            "full_ratio": rule.full_ratio,
            "thin_rows": thin_rows(rule),
        }
        for rule in calibration.rules
    ]
    return {
        "out": str(out),
        "scenes": len(samples),
        "samples": samples_digest(samples),
        "clusters": calibration.clustering.count,
        "silhouette": calibration.clustering.silhouette,
        "plans": [asdict(point) for point in grid_points(samples, objective)],
        "tables": tables,
        "objective": objective,
        "held_out": [asdict(part) for part in unseen],
    }


def show(
    console: Console,
    samples: Sequence[SceneSample],
    calibration: Calibration,
    unseen: Sequence[HeldOut],
    out: Path,
    objective: Objective,
    use: str,
) -> None:
    """For people, in 80 columns; ``use``: the options by which the pipeline follows the rules."""
    console.print(f"objective {objective}: {MEANING[objective]}", highlight=False)
    console.print("plans: START (walked as \\[plan] says) or STARTxSTEPS[:SOLVER]", highlight=False)
    console.print(_grid(grid_points(samples, objective), objective))
    silhouette = calibration.clustering.silhouette
    if silhouette is not None:
        console.print(f"{calibration.clustering.count} clusters: silhouette {silhouette:.2f}")
    for rule in calibration.rules:
        where = "all scenes" if rule.cluster is None else f"cluster {rule.cluster}"
        console.print(f"quality {rule.quality:g}, {where}:")
        for line in _rows(rule):
            console.print(f"  {line}", highlight=False)
        if rule.notes:
            console.print(f"  {rule.notes}", highlight=False)
    for part in unseen:
        console.print(part.text(), highlight=False)
    if not unseen:
        console.print("too few scenes to judge the rules on held-out ones", highlight=False)
    console.print(f"wrote {out}; use it with: {use}", markup=False, soft_wrap=True)


def _grid(points: Sequence[GridPoint], objective: Objective) -> Table:
    table = Table("plan", box=None)
    for title in ("steps a frame", MEASURE[objective], "of the best"):
        table.add_column(title, justify="right")
    table.add_column("no cheaper plan equals it")
    for point in points:
        numbers = (str(point.cost), f"{point.quality:.4f}", f"{point.share:.4f}")
        table.add_row(point.plan, *numbers, "yes" if point.front else "")
    return table


def _rows(rule: RuleTable) -> list[str]:
    lines = []
    rows = zip(rule.rows, rule.samples, rule.lower_bound, strict=True)
    for row, ((low, high, _), count, bound) in enumerate(rows):
        told = f"ratio {low:.3f} to {high:.3f}: " if high < 10 else f"ratio {low:.3f} and more: "
        told += f"plan {row_plan(rule, row).text():<14} {count} targets"
        told += f", keeps at least {bound:.3f}" if bound > UNKNOWN else ", too few"
        lines.append(told)
    return lines
