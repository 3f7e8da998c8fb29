"""Frames and evidence of stored scenes, and what the score should say of a frame."""

from functools import lru_cache

import numpy as np
import torch
from similarity import quality
from torch import Tensor

from sphinx_framework.geometry.warps import warped
from sphinx_framework.types import Cameras, ScoreEvidence
from sphinx_framework_lite.finisher import Finisher, finished
from sphinx_framework_lite.weights import build

KINDS = ("painted", "finished")


def aim(images: Tensor, truth: Tensor) -> Tensor:
    """Similarity to the truth, less the shift of the mean colour."""
    shift = (images.mean((2, 3)) - truth.mean((2, 3))).abs().mean(1)
    return quality(images, truth) - shift


def stored_evidence(scene: dict[str, np.ndarray]) -> ScoreEvidence:
    """Evidence of a stored scene's targets, as the engine makes it."""

    def images(name: str) -> Tensor:
        return torch.from_numpy(scene[name]).float() / 255

    inputs = images("inputs")
    size = (inputs.shape[-2], inputs.shape[-1])
    cameras = Cameras(
        world_from_camera=torch.from_numpy(scene["poses"]).float(),
        intrinsics=torch.from_numpy(scene["intrinsics"]).float(),
        image_size=size,
    )
    count = len(inputs)
    depth = torch.from_numpy(scene["depth"]).float()
    targets = list(range(count, len(scene["poses"])))
    warps, inside = warped(inputs, cameras[list(range(count))], cameras[targets], depth)
    names = scene["names"].tolist()
    return ScoreEvidence(
        inputs=inputs,
        renders=torch.from_numpy(scene["systems"][names.index("regression")]).float() / 255,
        opacity=torch.from_numpy(scene["opacity"]).float(),
        warps=warps,
        inside=inside,
    )


@lru_cache(maxsize=1)
def finisher() -> Finisher:
    """As it is packaged."""
    return build(Finisher, "finisher", "packaged", torch.device("cpu"))


@torch.no_grad()
def frames_of(
    scene: dict[str, np.ndarray], evidence: ScoreEvidence, kind: str
) -> dict[str, Tensor]:
    """Frames of every system, by name: as stored, or finished.

    Stored is what was painted, which the guard sees. Renders stay as they are.
    """
    names = scene["names"].tolist()
    painted = dict(zip(names, torch.from_numpy(scene["systems"]).float() / 255, strict=True))
    if kind == "painted":
        return painted
    return {
        name: images if name == "regression" else finished(finisher(), images, evidence)
        for name, images in painted.items()
    }


def expected_views(evidence: ScoreEvidence) -> Tensor:
    """Renders as they would be served, with which the score compares frames."""
    return finished(finisher(), evidence.renders, evidence)
