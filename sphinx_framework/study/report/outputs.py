"""What a study leaves in its folder: ``table.md``, ``results.json``, figures, ``index.html``."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx_framework.config import PipelineConfig
from sphinx_framework.policy.rules import MEANING
from sphinx_framework.study.evaluate.evaluation import STAGES
from sphinx_framework.study.evaluate.records import SceneRecord, relative
from sphinx_framework.study.evaluate.systems import DENSE, System, competitors
from sphinx_framework.study.files import write_whole
from sphinx_framework.study.machine import software
from sphinx_framework.study.report.claims import claim_table
from sphinx_framework.study.report.dial import promise
from sphinx_framework.study.report.equal_time import rival_table, rivals
from sphinx_framework.study.report.figures import (
    factor_effects,
    kept_distribution,
    stages,
    start_steps,
    trade_off,
)
from sphinx_framework.study.report.page import Page, Section, Sheet, figure_png, page_html
from sphinx_framework.study.report.pareto import front_marks, mean_points
from sphinx_framework.study.report.summary import Rows, markdown, stage_table, table
from sphinx_framework.study.report.wins import REMARK as WINS
from sphinx_framework.study.report.wins import win_table
from sphinx_framework.types import Objective

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "sphinx-framework/study/1"
MOST_HISTOGRAMS = 12
REMARKS = (
    "Means over scenes with 95 % bootstrap intervals. Seconds leave out loading and writing; the "
    "baselines are not charged for scoring and planning, and diffusion is charged for the "
    "regression render, which the method needs too and which may condition it.",
    "'Score kept' is the mean no-reference score over that of full diffusion on the same scene; a "
    "scene or frame met its target when it kept the quality factor (baselines: the pipeline's).",
    "Holes are pixels where the regression opacity is below 0.5. Drift is the difference of "
    "neighbouring frames after warping with the regression depth; feature drift that of their "
    "embeddings, which also rises with the motion of the camera.",
)
RIVAL_REMARK = (
    "Dense diffusion with fewer steps, at the seconds of each system: its figures are interpolated "
    "between the numbers of steps that were measured ('nearest': none of them is as fast or slow)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A finished study.

    kind: ``evaluate`` or ``sweep``. notes: what was not measured, and why. objective: what the
    qualities are shares of.
    """

    kind: str
    config: PipelineConfig
    systems: Sequence[System]
    records: Sequence[SceneRecord]
    command: str
    machine: str
    notes: Sequence[str]
    objective: Objective = "paper"

    @property
    def rows(self) -> Rows:
        """One list per system, with one entry per scene."""
        qualities = {system.name: system.quality for system in self.systems}
        by_scene = [relative(record, qualities, DENSE) for record in self.records]
        return {name: [scene[name] for scene in by_scene] for name in qualities}

    @property
    def method(self) -> list[System]:
        """The systems that are neither regression nor dense diffusion."""
        return [s for s in self.systems if s.mode not in ("regression", "diffusion")]

    def starts(self) -> dict[str, list[int]]:
        """Start steps of all frames, by system of the method."""
        return {
            s.name: [step for record in self.records for step in record.systems[s.name].starts]
            for s in self.method
        }


def results(study: Study) -> dict[str, Any]:
    """Everything measured, as JSON values; what was not measured is absent."""
    rows = study.rows
    front = front_marks(rows)
    return {
        "schema": SCHEMA,
        "kind": study.kind,
        "command": study.command,
        "date": date.today().isoformat(),
        "machine": study.machine,
        "software": software(),
        "config": study.config.model_dump(mode="json"),
        "objective": study.objective,
        "notes": list(study.notes),
        "scenes": [record.scene for record in study.records],
        "systems": {
            system.name: {
                "family": system.family,
                "mode": system.mode,
                "quality": system.quality,
                "changes": dict(system.changes),
                "other_noise": system.other_noise,
                "front": system.name in front,
                "scenes": rows[system.name],
                "starts": [record.systems[system.name].starts for record in study.records],
            }
            for system in study.systems
        },
    }


def _scene_by_scene(rows: Rows, of: str) -> Section:
    return Section(title="Scene by scene", lines=win_table(rows, of), remarks=[WINS.format(of=of)])


def tables(study: Study) -> list[Section]:
    """The tables of the page and of ``table.md``."""
    rows = study.rows
    method = [system.name for system in study.method]
    sections = [
        Section(title="All systems", lines=table(rows, front_marks(rows)), remarks=study.notes),
        Section(
            title="Against dense diffusion at equal time",
            lines=rival_table(rivals(rows, method, competitors(study.systems))),
            remarks=[RIVAL_REMARK],
        ),
        *(_scene_by_scene(rows, s.name) for s in study.systems if s.mode == "regression"),
        Section(title="Seconds by stage: mean / P95 over scenes", lines=stage_table(rows, STAGES)),
    ]
    if study.kind == "evaluate":
        lines = claim_table(promise(rows, study.systems, study.objective))
        sections.insert(0, Section(title="The promise, checked", lines=lines, words=True))
    return sections


def figures(study: Study) -> "dict[str, Figure]":
    """The figures, by title."""
    rows = study.rows
    drawn = {"Trade-off": trade_off(rows, study.systems)}
    if mean_points(rows, "kept", "joules"):
        drawn["Trade-off in energy"] = trade_off(rows, study.systems, "joules")
    if study.kind == "sweep":
        drawn["Effect of each factor"] = factor_effects(rows, study.systems)
        return drawn
    drawn["Score kept per scene"] = kept_distribution(rows, study.systems)
    by_system = dict(list(study.starts().items())[:MOST_HISTOGRAMS])
    drawn["Start steps"] = start_steps(by_system, study.config.num_steps)
    drawn["Seconds by stage"] = stages(rows)
    return drawn


def write_study(out: Path, study: Study, sheets: Sequence[Sheet]) -> None:
    """Write all files; each is whole or untouched."""
    title = f"{'Sweep' if study.kind == 'sweep' else 'Evaluation'} of {study.config.name}"
    facts = {
        "quality": MEANING[study.objective],
        "scenes": f"{len(study.records)}: {study.records[0].scene} to {study.records[-1].scene}",
        "machine": study.machine,
        "software": software(),
        "date": date.today().isoformat(),
        "command": study.command,
    }
    sections = tables(study)
    drawn = figures(study)
    write_whole(out / "table.md", _markdown(title, facts, sections))
    write_whole(out / "results.json", json.dumps(results(study), indent=1, allow_nan=False))
    for name, figure in drawn.items():
        stem = name.lower().replace(" ", "_")
        write_whole(out / f"{stem}.png", figure_png(figure))
        vectors = io.StringIO()
        figure.savefig(vectors, format="svg")
        write_whole(out / f"{stem}.svg", vectors.getvalue())
    page = Page(
        title=title,
        facts=facts,
        remarks=REMARKS,
        sections=sections,
        figures=drawn,
        sheets=sheets,
        config=json.dumps(study.config.model_dump(mode="json"), indent=2),
    )
    write_whole(out / "index.html", page_html(page))


def _markdown(title: str, facts: Mapping[str, str], sections: Sequence[Section]) -> str:
    parts = [f"# {title}", *(f"{key}: {value}  " for key, value in facts.items()), *REMARKS]
    for section in sections:
        parts += [f"## {section.title}", *section.remarks, markdown(section.lines)]
    return "\n\n".join(parts) + "\n"
