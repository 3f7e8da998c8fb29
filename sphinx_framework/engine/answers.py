"""The seam between engine and components: every answer is checked once, where it enters.

:func:`checked` puts a thin guard around each component. A guard passes the call on, names the
component when it raises or runs out of memory, and refuses an answer that breaks the protocol, or
a component that wrote into what it was handed.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.denoising_answers import CheckedDiffusion
from sphinx_framework.engine.handed import (
    coarse_tensors,
    evidence_tensors,
    owned_views,
    scene_tensors,
    unknowing,
)
from sphinx_framework.protocols import LossEstimator, takes_evidence
from sphinx_framework.types import (
    CoarseViews,
    Gaussians,
    QualityReport,
    Scene,
    ScoreEvidence,
    StartSteps,
    Walk,
)
from sphinx_framework.witness import Witness, kind_of
from sphinx_framework.witness.handed import owned


def checked(components: Components, config: PipelineConfig) -> Components:
    """The same components behind guards; errors are :class:`JobError` with ``component`` set.

    The embedder stands behind its guard from the start: the others are handed it when they are
    built (:mod:`.components`).
    """
    distributions = {entry["role"]: entry["distribution"] for entry in components.licences}

    def witness(role: str) -> Witness:
        return Witness(role, config.pipeline[role].use, distributions.get(role))

    scores: type[CheckedQuality] = CheckedQuality
    if takes_evidence(components.quality):
        scores = CheckedLoss if isinstance(components.quality, LossEstimator) else CheckedEvidence
    return replace(
        components,
        regression=CheckedRegression(components.regression, witness("regression")),
        diffusion=CheckedDiffusion(
            components.diffusion, witness("diffusion"), components.capabilities.max_frames
        ),
        quality=scores(components.quality, witness("quality")),
        mask=CheckedMask(components.mask, witness("mask")),
        steps=CheckedSteps(components.steps, witness("steps")),
    )


COEFFICIENTS = (1, 4, 9, 16, 25)  # of spherical harmonics up to degree 4


class CheckedRegression:
    """Coarse views: one finite float32 image in [0, 1] per target, opacity alike or none."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def predict(self, scene: Scene, memory: Any = None) -> CoarseViews:
        """Pass on and check; a memory goes to the model that made it."""
        witness, stage = self._witness, "regression"
        count, size = len(scene.targets), scene.targets.image_size
        kept = () if memory is None else (memory,)
        with witness.asked(stage, **scene_tensors(scene)):
            coarse = self._inner.predict(unknowing(scene), *kept)
        if not isinstance(coarse, CoarseViews):
            raise witness.refusal(stage, kind_of(coarse), "CoarseViews")
        device = scene.images.device
        images, opacity = coarse.images, coarse.opacity
        witness.placed(images, "images", stage, (count, 3, *size), torch.float32, device)
        witness.in_range(images, "images", stage, 1)
        if opacity is not None:
            witness.placed(opacity, "opacity", stage, (count, *size), torch.float32, device)
            witness.in_range(opacity, "opacity", stage, 1)
        self._check_depths(coarse, count, len(scene.inputs), size)
        if coarse.gaussians is not None:
            self._check_gaussians(coarse.gaussians)
        _check_texts(witness, stage, "warnings", coarse.warnings)
        return owned_views(coarse)

    def _check_depths(
        self, coarse: CoarseViews, targets: int, inputs: int, size: tuple[int, int]
    ) -> None:
        """Depths: finite, not negative; confidences: in [0, 1]."""
        for name, count, most in (
            ("depth", targets, None),
            ("input_depth", inputs, None),
            ("input_confidence", inputs, 1),
        ):
            values = getattr(coarse, name)
            if values is None:
                continue
            self._witness.placed(values, name, "regression", (count, *size), None, None)
            self._witness.in_range(values, name, "regression", most, name == "depth")

    def _check_gaussians(self, gaussians: Any) -> None:
        """Shapes that fit together, finite numbers: they are written to a file as they are."""
        witness = self._witness
        if not isinstance(gaussians, Gaussians):
            raise witness.refusal("regression", kind_of(gaussians), "Gaussians or None")
        witness.shaped(
            gaussians.means, "means of Gaussians", "regression", (_count(gaussians.means), 3)
        )
        count = len(gaussians.means)
        harmonics: Any = gaussians.harmonics
        degree = harmonics.shape[-1] if isinstance(harmonics, Tensor) and harmonics.ndim else "d"
        if isinstance(degree, int) and degree not in COEFFICIENTS:
            got = f"harmonics of Gaussians with {degree} coefficients"
            raise witness.refusal("regression", got, " or ".join(map(str, COEFFICIENTS)))
        shapes: dict[str, tuple[Any, ...]] = {
            "means": (count, 3),
            "covariances": (count, 3, 3),
            "harmonics": (count, 3, degree),
            "opacities": (count,),
            "scales": (count, 3),
            "rotations": (count, 4),
        }
        given: list[Tensor] = []
        for name, shape in shapes.items():
            values = getattr(gaussians, name)
            if values is None and name in ("scales", "rotations"):
                continue
            what = f"{name} of Gaussians"
            witness.placed(values, what, "regression", shape, None, None)
            given.append(values)
        # One wait for the device where all is well.
        opacities = gaussians.opacities
        held = [torch.isfinite(values).all() for values in given]
        turned = gaussians.rotations
        if turned is not None:
            held.append((turned != 0).any(1).all())
        if not bool(torch.stack([*held, ((opacities >= 0) & (opacities <= 1)).all()]).all()):
            for values in given:
                witness.finite(values, "Gaussians", "regression", lambda row: None)
            witness.in_range(opacities, "opacities of Gaussians", "regression", 1, False)
            raise witness.refusal("regression", "rotations of Gaussians that are 0", "quaternions")


class CheckedQuality:
    """One finite score per image, none of them negative."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def score(self, images: Tensor, *rest: Any, **named: Any) -> Tensor:
        """Pass on and check."""
        given = dict(enumerate(rest)) if rest else {}
        opacity = given.get(0, named.get("opacity"))
        with self._witness.asked("quality", images=images, opacity=opacity):
            scores = self._inner.score(images, *rest, **named)
        self._witness.placed(scores, "scores", "quality", (len(images),), None, None)
        self._witness.in_range(scores, "scores", "quality", None)
        return owned(scores)


class CheckedEvidence(CheckedQuality):
    """The same of an estimator that asks for evidence: its parameters say so."""

    def score(
        self, images: Tensor, opacity: Tensor | None = None, *,
        evidence: ScoreEvidence | None = None,
    ) -> Tensor:  # fmt: skip
        """Pass on and check, the photos and renders of the evidence included."""
        with self._witness.asked("quality", **evidence_tensors(evidence)):
            return super().score(images, opacity, evidence=evidence)


class CheckedLoss(CheckedEvidence):
    """The same of an estimator that tells what refined frames lost."""

    def lost(self, images: Tensor, evidence: ScoreEvidence) -> Tensor:
        """Pass on and check."""
        with self._witness.asked("quality", images=images, **evidence_tensors(evidence)):
            lost = self._inner.lost(images, evidence)
        self._witness.tensor(lost, "losses", "quality", (len(images),), None, None)
        return owned(lost)


class CheckedMask:
    """One boolean mask of the targets' size per target."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> Tensor:
        """Pass on and check."""
        given = {**scene_tensors(scene), **coarse_tensors(coarse)}
        with self._witness.asked("plan", **given):
            mask = self._inner.mask(coarse, unknowing(scene), cluster)
        shape = (len(scene.targets), *scene.targets.image_size)
        self._witness.tensor(mask, "masks", "plan", shape, torch.bool, None)
        return owned(mask)


class CheckedSteps:
    """One start step in ``0..num_steps`` per target."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """Pass on and check."""
        witness, count = self._witness, len(scene.targets)
        own = {
            "scores": report.score,
            "ratios": report.ratio,
            "references": report.reference,
            "scores_of_photos": report.input_score,
        }
        views = {} if report.coarse is None else coarse_tensors(report.coarse)
        with witness.asked("plan", **scene_tensors(scene), **own, **views):
            chosen = self._inner.start_steps(report, unknowing(scene), quality, num_steps)
        if not isinstance(chosen, StartSteps):
            raise witness.refusal("plan", kind_of(chosen), "StartSteps")
        steps: Any = chosen.steps
        if not isinstance(steps, tuple) or len(steps) != count:
            came = f"{len(steps)} start steps" if isinstance(steps, tuple) else kind_of(steps)
            raise witness.refusal("plan", came, f"a tuple of one for each of {count} targets")
        for frame, step in enumerate(steps):
            if not _whole(step) or not 0 <= step <= num_steps:
                raise witness.refusal(
                    "plan", f"start step {step!r}", f"an int in 0..{num_steps}", frame
                )
        self._check_walks(chosen.walks, count)
        cluster: Any = chosen.cluster
        if cluster is not None and (not _whole(cluster) or cluster < 0):
            raise witness.refusal("plan", f"cluster {cluster!r}", "an int >= 0, or None")
        ratios: Any = chosen.full_ratio
        if ratios is not None and not (
            isinstance(ratios, tuple | list)
            and len(ratios) == count
            and all(map(_positive, ratios))
        ):
            raise witness.refusal(
                "plan", f"full_ratio {ratios}", f"{count} positive numbers, or None"
            )
        if chosen.objective not in ("paper", "truth"):
            raise witness.refusal("plan", f"objective {chosen.objective!r}", "'paper' or 'truth'")
        _check_texts(witness, "plan", "notes", chosen.notes)
        _check_texts(witness, "plan", "warnings", chosen.warnings)
        return chosen

    def _check_walks(self, walks: Any, count: int) -> None:
        if walks is None:
            return
        if (
            not isinstance(walks, tuple)
            or len(walks) != count
            or not all(isinstance(walk, Walk) for walk in walks)
        ):
            raise self._witness.refusal("plan", f"walks {walks}", f"{count} Walks, or None")
        for frame, walk in enumerate(walks):
            steps, solver = walk.steps, walk.solver
            if steps is not None and not (_whole(steps) and steps > 0):
                raise self._witness.refusal(
                    "plan", f"a walk of {steps!r} steps", "a positive int, or None", frame
                )
            if solver is not None and not isinstance(solver, str):
                raise self._witness.refusal(
                    "plan", f"a walk by solver {solver!r}", "a solver's name, or None", frame
                )


def _check_texts(witness: Witness, stage: str, what: str, texts: Any) -> None:
    if not isinstance(texts, tuple | list) or not all(isinstance(text, str) for text in texts):
        raise witness.refusal(stage, f"{what} {texts!r:.80}", "a tuple of sentences")


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _positive(number: Any) -> bool:
    return isinstance(number, int | float) and 0 < number < float("inf")


def _count(answer: Any) -> int:
    return answer.shape[0] if isinstance(answer, Tensor) and answer.ndim else 0
