"""What calibration measures: a scene by every plan of a grid, its scores and similarities.

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
from jaxtyping import Float
from pydantic import ValidationError
from torch import Tensor

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import FrameReport
from sphinx_framework.errors import ConfigError, JobError
from sphinx_framework.frame_plan import FramePlan, full_diffusion
from sphinx_framework.metrics import gradient_similarity, ssim
from sphinx_framework.options import Options
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.scenes.fingerprint import fingerprint
from sphinx_framework.study.calibrate.sampling import FixedPlan, Sampling
from sphinx_framework.study.evaluate.settings import (
    Settings,
    refuse_other_settings,
    scene_seed,
    with_files,
)
from sphinx_framework.study.files import file_stem, write_whole
from sphinx_framework.types import Scene

SceneSource = tuple[str, Callable[[], Scene]]


class TargetSample(Options):
    """One target: its coarse ratio, and what every plan of the grid came to.

    reference: the inputs' interpolated score, which ratios are shares of (paper eq. 2).
    full: score of full diffusion. scores: plan (:meth:`FramePlan.text`) -> no-reference score.
    similarities: plan -> (SSIM + GMS) / 2 to ground truth, where the scene has it.
    held: whether the pipeline serves it as rendered whatever the plan (too little is proven of it).
    """

    ratio: float
    reference: float
    full: float
    scores: dict[str, float]
    similarities: dict[str, float] = {}
    held: bool = False

    def kept(self, plan: str) -> float:
        """Share of full diffusion's score that a plan keeps."""
        return self.scores[plan] / self.full


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
class Drawn:
    """Means over the repeats of one plan, by target; ``report``: of the last."""

    score: list[float]
    similarity: list[float] | None
    report: tuple[FrameReport, ...]


def sample_scene(
    engine: Engine,
    scene: Scene,
    name: str,
    sampling: Sampling,
    rendered: Callable[[], None] = lambda: None,
) -> SceneSample:
    """Render a scene by every plan of the grid, and keep scores and similarities.

    rendered: called after every render, for progress.
    Raises :class:`JobError` when a score is no positive number: shares of it mean nothing then.
    """
    steps, files = engine.config.num_steps, fingerprint(name)
    plain = engine.config.model_copy(
        update={"engine": engine.config.engine.model_copy(update={"retry": False})}
    )
    first = engine.prepare(scene, mode="regression")

    def drawn(plan: FramePlan) -> Drawn:
        fixed = replace(engine.components, steps=FixedPlan(plan))
        own = Engine(fixed, plain, engine.device)
        mode: Mode = "diffusion" if plan.full(steps) else sampling.mode
        prepared = own.prepare(
            scene,
            mode="regression" if plan.start == steps else mode,
            coarse=first.coarse,
            report=first.report,
        )
        frames, similar = [], []
        for repeat in range(sampling.repeats):
            result = own.render(prepared, seed=scene_seed(name, sampling.seed + repeat))
            frames.append(result.report.frames)
            if first.scene.target_images is not None:
                similar.append(similarity(result.images, first.scene.target_images.cpu()))
            rendered()
        scores = [[frame.achieved_score for frame in report] for report in frames]
        return Drawn(
            score=[fmean(own) for own in zip(*scores, strict=True)],
            similarity=torch.stack(similar).mean(0).tolist() if similar else None,
            report=tuple(frames[-1]),
        )

    plans = sampling.plans(steps)
    measured = {plan.text(): drawn(plan) for plan in plans}
    by_method = [measured[p.text()] for p in plans if not p.full(steps) and p.start < steps]
    full = measured[full_diffusion(steps).text()]
    targets = tuple(
        TargetSample(
            ratio=full.report[i].ratio,
            reference=full.report[i].reference,
            full=full.score[i],
            scores={plan: found.score[i] for plan, found in measured.items()},
            similarities={
                plan: found.similarity[i]
                for plan, found in measured.items()
                if found.similarity is not None
            },
            held=bool(by_method) and all(found.report[i].steps_run == 0 for found in by_method),
        )
        for i in range(len(full.score))
    )
    _check_scores(name, targets)
    return SceneSample(
        scene=name,
        num_steps=steps,
        settings=with_files(sampling.settings(engine), files),
        embedding=embedding_of(engine, scene),
        targets=targets,
    )


def similarity(
    images: Float[Tensor, "T 3 H W"], truth: Float[Tensor, "T 3 H W"]
) -> Float[Tensor, " T"]:
    """(SSIM + GMS) / 2 to ground truth: the quality of objective ``truth``."""
    return (ssim(images, truth) + gradient_similarity(images, truth)) / 2


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
        now = with_files(settings, fingerprint(sample.scene))
        refuse_other_settings(sample.settings, now, str(path))
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
