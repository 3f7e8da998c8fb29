"""What a pose estimator answers, checked where it enters."""

import math
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.protocols import EstimatedCameras, PoseEstimator
from sphinx_framework.registry import Registry
from sphinx_framework.types import Cameras, PhotoHints
from sphinx_framework.witness import Witness, kind_of

STAGE = "poses"


def installed_estimator(
    name: str, options: Any, device: torch.device, registry: Registry
) -> "CheckedEstimator":
    """A plugin's estimator, built, behind its guard."""
    estimator = registry.build("poses", name, options, device)
    origin = registry.distribution_of(registry.find("poses", name))
    return CheckedEstimator(estimator, Witness("poses", name, origin))


def guarded(estimator: PoseEstimator) -> "CheckedEstimator":
    """An estimator of a host, behind a guard that knows its class alone."""
    if isinstance(estimator, CheckedEstimator):
        return estimator
    return CheckedEstimator(estimator, Witness("poses", type(estimator).__name__))


class CheckedEstimator:
    """One rigid, finite camera per photo, for the photos' own pixels."""

    def __init__(self, inner: Any, witness: Witness) -> None:
        self._inner, self._witness = inner, witness

    def estimate_poses(
        self, images: Tensor, *, hints: PhotoHints | None = None
    ) -> EstimatedCameras:
        """Pass on and check."""
        witness = self._witness
        with witness.asked(STAGE, photos=images):
            found = self._inner.estimate_poses(images, hints=hints)
        absent = [n for n in ("cameras", "near", "far", "warnings") if not hasattr(found, n)]
        if absent:
            raise witness.refusal(STAGE, f"{kind_of(found)} without {', '.join(absent)}", "cameras")
        cameras: Any = found.cameras
        if not isinstance(cameras, Cameras):
            raise witness.refusal(STAGE, f"{kind_of(cameras)} as cameras", "Cameras")
        if len(cameras) != len(images):
            raise witness.refusal(STAGE, f"{len(cameras)} cameras", f"{len(images)}, one a photo")
        size = tuple(images.shape[-2:])
        if cameras.image_size != size:
            raise witness.refusal(STAGE, f"cameras for {cameras.image_size} pixels", f"for {size}")
        try:
            cameras.validate("camera")
        except SceneError as problem:
            raise witness.refusal(STAGE, f"what cannot be: {problem.message}", "cameras") from None
        self._check_depths(found.near, found.far)
        texts: Any = found.warnings
        if not isinstance(texts, tuple | list) or not all(isinstance(t, str) for t in texts):
            raise witness.refusal(STAGE, f"warnings {texts!r:.80}", "a tuple of sentences")
        answer: EstimatedCameras = found
        return answer

    def _check_depths(self, near: Any, far: Any) -> None:
        if near is None and far is None:
            return
        both = [x for x in (near, far) if isinstance(x, int | float) and math.isfinite(x)]
        if len(both) != 2 or not 0 < both[0] < both[1]:
            raise self._witness.refusal(
                STAGE, f"near {near} and far {far}", "0 < near < far, or neither"
            )
