"""What calibration measures: scores of a scene refined from every start step of a grid.

One JSON file per scene, written whole, so that a killed run goes on where it was.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
from pydantic import ValidationError

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import FrameReport
from sphinx_framework.errors import ConfigError, JobError
from sphinx_framework.options import Options
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.study.evaluate.settings import (
    Settings,
    engine_settings,
    refuse_other_settings,
    scene_seed,
)
from sphinx_framework.study.files import file_stem, write_whole
from sphinx_framework.types import QualityReport, Scene, StartSteps

SceneSource = tuple[str, Callable[[], Scene]]


class TargetSample(Options):
    """One target: its coarse ratio, and image-only scores by start step.

    reference: the inputs' interpolated score, which ratios are shares of (paper eq. 2).
    full: score of full diffusion. scores: start step -> score; 0 is the method's own walk from the
    first step, which may take fewer steps than full diffusion; ``num_steps`` the regression frame.
    """

    ratio: float
    reference: float
    full: float
    scores: dict[int, float]

    def kept(self, start: int) -> float:
        """Share of full diffusion's score that is kept when refinement starts at ``start``."""
        return self.scores[start] / self.full


class SceneSample(Options):
    """All targets of one scene, with its embedding where the pipeline has an embedder.

    settings: what the scores depend on; see :mod:`sphinx_framework.study.evaluate.settings`.
    """

    scene: str
    num_steps: int
    settings: Settings
    embedding: tuple[float, ...]
    targets: tuple[TargetSample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How scenes are measured.

    spacing: between the start steps tried. mode: of the refined renders; ``coarse`` is the
    authors' measurement, ``fine`` and ``selective`` include what the cache and the masks cost.
    repeats: renders from every start, each with noise of its own; their mean score counts, so that
    one draw's luck is not taken for a start's merit.
    """

    spacing: int = 5
    mode: Mode = "coarse"
    seed: int = 0
    repeats: int = 1

    def starts(self, num_steps: int) -> tuple[int, ...]:
        """Start steps to render, from the first step to the regression frame."""
        return (0, *range(self.spacing, num_steps, self.spacing), num_steps)

    def settings(self, engine: Engine) -> Settings:
        """What the scores depend on; step policy (and in mode ``coarse`` the mask) do not count."""
        left_out = ("steps", "mask") if self.mode == "coarse" else ("steps",)
        tiles = self.mode == "selective"
        return {
            **engine_settings(engine, left_out),
            "cost": engine.config.cost.model_dump(mode="json") if tiles else None,
            "spacing": self.spacing,
            "mode": self.mode,
            "seed": self.seed,
            "repeats": self.repeats,
        }

    def renders(self, num_steps: int) -> int:
        """Renders of one scene: full diffusion, and from every start."""
        return (1 + len(self.starts(num_steps))) * self.repeats


class FixedStart:
    """A step policy that starts every target at one step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """The fixed step, for every target."""
        return StartSteps(steps=(self.step,) * len(scene.targets))


def sample_scene(
    engine: Engine,
    scene: Scene,
    name: str,
    sampling: Sampling,
    rendered: Callable[[], None] = lambda: None,
) -> SceneSample:
    """Render a scene by full diffusion and from every start step, and keep the scores.

    rendered: called after every render, for progress.
    Raises :class:`JobError` when a score is no positive number: shares of it mean nothing then.
    """
    steps = engine.config.num_steps
    plain = engine.config.model_copy(
        update={"engine": engine.config.engine.model_copy(update={"retry": False})}
    )

    def drawn(start: int, mode: Mode) -> list[list[FrameReport]]:
        """Reports of every target, by repeat."""
        fixed = replace(engine.components, steps=FixedStart(start))
        own = Engine(fixed, plain, engine.device)
        reports = []
        for repeat in range(sampling.repeats):
            seed = scene_seed(name, sampling.seed + repeat)
            reports.append(own.render(scene, mode=mode, seed=seed).report.frames)
            rendered()
        return [list(frames) for frames in zip(*reports, strict=True)]

    full = drawn(0, "diffusion")
    by_start = {
        start: drawn(start, "regression" if start == steps else sampling.mode)
        for start in sampling.starts(steps)
    }
    targets = tuple(
        TargetSample(
            ratio=frames[0].ratio,
            reference=frames[0].reference,
            full=_mean_score(frames),
            scores={start: _mean_score(by_start[start][i]) for start in by_start},
        )
        for i, frames in enumerate(full)
    )
    _check_scores(name, targets)
    return SceneSample(
        scene=name,
        num_steps=steps,
        settings=sampling.settings(engine),
        embedding=embedding_of(engine, scene),
        targets=targets,
    )


def embedding_of(engine: Engine, scene: Scene) -> tuple[float, ...]:
    """The scene's embedding, as the step policy will see it; empty without an embedder."""
    embedder = engine.components.embedder
    if embedder is None:
        return ()
    with torch.no_grad():
        return tuple(embedder.embed(scene.images.to(engine.device)).cpu().tolist())


def collect(
    engine: Engine,
    scenes: Sequence[SceneSource],
    folder: Path,
    sampling: Sampling,
    *,
    rendered: Callable[[], None] = lambda: None,
    resumed: Callable[[int], None] = lambda count: None,
    write: Callable[[Path, str], object] = write_whole,
) -> Iterator[SceneSample]:
    """Measure every scene that has no file yet, and yield all of them in order.

    rendered: called after every render. resumed: called once, with the number of scenes that an
    earlier run has measured. write: puts the text of a sample into its file, whole.
    Raises :class:`ConfigError` when the folder holds samples of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = sampling.settings(engine)
    paths = [folder / f"{file_stem(name)}.json" for name, _ in scenes]
    recorded = {path: _read(path) for path in paths if path.exists()}
    for path, sample in recorded.items():
        refuse_other_settings(sample.settings, settings, str(path))
    resumed(len(recorded))
    for (name, load), path in zip(scenes, paths, strict=True):
        if path in recorded:
            yield recorded[path]
            continue
        sample = sample_scene(engine, load(), name, sampling, rendered)
        write(path, sample.model_dump_json(indent=1))
        yield sample


def read_samples(folder: Path) -> list[SceneSample]:
    """All recorded scenes of a folder, by scene name."""
    return sorted((_read(path) for path in folder.glob("*.json")), key=lambda s: s.scene)


def samples_digest(samples: Sequence[SceneSample]) -> str:
    """Short digest of what was measured: the same samples give the same rules."""
    ordered = sorted(samples, key=lambda sample: sample.scene)
    text = "\n".join(sample.model_dump_json() for sample in ordered)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _mean_score(frames: Sequence[FrameReport]) -> float:
    return fmean(frame.achieved_score for frame in frames)


def _check_scores(name: str, targets: Sequence[TargetSample]) -> None:
    values = [value for t in targets for value in (t.ratio, t.reference, *t.scores.values())]
    least = min(target.full for target in targets)
    if not all(math.isfinite(value) for value in values) or not 0 < least < math.inf:
        raise JobError(
            f"{name}: the quality estimator gave a score that is not a positive number "
            f"(full diffusion: {least:.3g} at least).",
            hint="Rules are shares of full diffusion's score; choose another quality component.",
        )


def _read(path: Path) -> SceneSample:
    try:
        return SceneSample.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"{path}: is no recorded sample: {first}.", hint="Delete it; it is measured again."
        ) from None
