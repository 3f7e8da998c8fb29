"""Scoring images with what is known of them, where the estimator asks for it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.geometry.warps import warped
from sphinx_framework.protocols import QualityEstimator, takes_evidence
from sphinx_framework.types import CoarseViews, Scene, ScoreEvidence


def target_evidence(scene: Scene, coarse: CoarseViews) -> ScoreEvidence:
    """What is known of the targets: the photos, the renders, and the photos seen from there."""
    warps = inside = None
    if coarse.depth is not None:
        depth = coarse.depth.to(scene.images)
        warps, inside = warped(scene.images, scene.inputs, scene.targets, depth)
    return ScoreEvidence(
        inputs=scene.images,
        renders=coarse.images,
        opacity=coarse.opacity,
        warps=warps,
        inside=inside,
    )


def photo_evidence(scene: Scene) -> ScoreEvidence:
    """What is known of the photos: they are themselves, and certain."""
    sure = torch.ones_like(scene.images[:, 0])
    return ScoreEvidence(inputs=scene.images, renders=scene.images, opacity=sure)


def view_scores(
    estimator: QualityEstimator,
    scene: Scene,
    coarse: CoarseViews,
    known: Callable[[], ScoreEvidence],
) -> tuple[Float[Tensor, " T"], Float[Tensor, " N"]]:
    """Scores of the coarse views and of the photos."""
    if takes_evidence(estimator):
        return (
            estimator.score(coarse.images, coarse.opacity, evidence=known()),
            estimator.score(scene.images, evidence=photo_evidence(scene)),
        )
    return estimator.score(coarse.images, coarse.opacity), estimator.score(scene.images)


def final_scores(
    estimator: QualityEstimator,
    images: Float[Tensor, "T 3 H W"],
    known: Callable[[], ScoreEvidence],
) -> Float[Tensor, " T"]:
    """Scores of finished targets: like photos, without an opacity of their own."""
    if takes_evidence(estimator):
        return estimator.score(images, evidence=known())
    return estimator.score(images)
