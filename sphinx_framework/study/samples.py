"""What calibration measures: scores of a scene refined from every start step of a grid.

One JSON file per scene, written atomically, so that a killed run goes on where it was.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.types import QualityReport, Scene, StartSteps


class TargetSample(BaseModel):
    """One target: its coarse ratio, and image-only scores by start step.

    scores: start step -> score; 0 is full diffusion, ``num_steps`` the regression frame.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratio: float
    scores: dict[int, float]

    def kept(self, start: int) -> float:
        """Share of full diffusion's score that is kept when refinement starts at ``start``."""
        return self.scores[start] / max(self.scores[0], 1e-9)


class SceneSample(BaseModel):
    """All targets of one scene, with its embedding where the pipeline has an embedder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scene: str
    pipeline: str
    num_steps: int
    embedding: tuple[float, ...]
    targets: tuple[TargetSample, ...]


class FixedStart:
    """A step policy that starts every target at one step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def start_steps(
        self, report: QualityReport, scene: Scene, target: float, num_steps: int
    ) -> StartSteps:
        """The fixed step, for every target."""
        return StartSteps(steps=(self.step,) * len(scene.targets))


def start_grid(num_steps: int, spacing: int) -> tuple[int, ...]:
    """Start steps between full diffusion and the regression frame."""
    return tuple(range(spacing, num_steps, spacing))


def sample_scene(engine: Engine, scene: Scene, name: str, spacing: int) -> SceneSample:
    """Render a scene by full diffusion and from every start step, and keep the scores."""
    steps = engine.config.num_steps
    plain = engine.config.model_copy(
        update={"engine": engine.config.engine.model_copy(update={"retry": False})}
    )

    def scores(start: int) -> tuple[list[float], list[float]]:
        components = replace(engine.components, steps=FixedStart(start))
        mode = "diffusion" if start == 0 else "regression" if start == steps else "coarse"
        fixed = Engine(components, plain, engine.device)
        report = fixed.render(scene, mode=mode, seed=0).report  # type: ignore[arg-type]
        return [f.achieved_score for f in report.frames], [f.ratio for f in report.frames]

    by_start: dict[int, list[float]] = {}
    ratios: list[float] = []
    for start in (0, *start_grid(steps, spacing), steps):
        by_start[start], ratios = scores(start)
    embedder = engine.components.embedder
    embedding = () if embedder is None else embedder.embed(scene.images.to(engine.device)).tolist()
    targets = tuple(
        TargetSample(ratio=ratio, scores={start: by_start[start][i] for start in by_start})
        for i, ratio in enumerate(ratios)
    )
    return SceneSample(
        scene=name,
        pipeline=engine.config.name,
        num_steps=steps,
        embedding=tuple(embedding),
        targets=targets,
    )


def collect(
    engine: Engine, scenes: Sequence[tuple[str, Any]], folder: Path, spacing: int
) -> Iterator[SceneSample]:
    """Measure every scene that has no file yet; ``scenes`` pairs a name with a loading call.

    Raises :class:`ConfigError` when the folder holds samples of another pipeline or step grid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, load in scenes:
        path = folder / f"{_file_name(name)}.json"
        if path.exists():
            sample = _read(path)
            if (sample.pipeline, sample.num_steps) != (engine.config.name, engine.config.num_steps):
                raise ConfigError(
                    f"{path}: was measured with pipeline {sample.pipeline!r} and "
                    f"{sample.num_steps} steps, not with this one.",
                    hint="Choose another --samples folder, or delete this one.",
                )
        else:
            with torch.no_grad():
                sample = sample_scene(engine, load(), name, spacing)
            part = path.with_suffix(".part")
            part.write_text(sample.model_dump_json(indent=1), encoding="utf-8")
            os.replace(part, path)
        yield sample


def read_samples(folder: Path) -> list[SceneSample]:
    """All recorded scenes of a folder, by name."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> SceneSample:
    try:
        return SceneSample.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"{path}: is no recorded sample: {first}.", hint="Delete it; it is measured again."
        ) from None


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
