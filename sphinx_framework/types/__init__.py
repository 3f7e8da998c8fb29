"""The values that travel along the road of a request.

Shape letters, everywhere in the project: ``N`` input views, ``T`` target views (in a scene) or
frames of a clip (in the engine), ``R`` rows held by an executor, ``C`` channels, ``H W`` pixels,
``h w`` latent cells, ``G`` Gaussians.

Conventions: OpenCV axes (x right, y down, z forward); ``world_from_camera`` is 4x4; intrinsics are
in pixels of ``image_size`` with pixel centres at half-integers; images are float32 RGB in [0, 1];
opacity 1 means certain; times are seconds, memory is bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework.frame_plan import Walk as Walk
from sphinx_framework.types.cameras import Cameras as Cameras
from sphinx_framework.types.layout import ClipLayout as ClipLayout
from sphinx_framework.types.layout import Slot as Slot
from sphinx_framework.types.layout import SlotKind as SlotKind
from sphinx_framework.types.scene import Scene as Scene

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhotoHints:
    """What the files of unposed photos say, for a pose estimator.

    names: of the files, for messages. focal: by their EXIF, in pixels of the photos; ``None`` where
        they say none or differ.
    """

    names: tuple[str, ...]
    focal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaussians:
    """3-D Gaussians in world coordinates.

    means, covariances: scene units (squared for covariances).
    harmonics: real spherical-harmonic colour coefficients, degree-major, ``d = (degree + 1)**2``.
    opacities: in [0, 1].
    scales: standard deviations along the axes; rotations: quaternions (w, x, y, z) of the axes,
        none of them 0. Without these, both are the covariances' eigenvalues and eigenvectors.
    """

    means: Float[Tensor, "G 3"]
    covariances: Float[Tensor, "G 3 3"]
    harmonics: Float[Tensor, "G 3 d"]
    opacities: Float[Tensor, " G"]
    scales: Float[Tensor, "G 3"] | None = None
    rotations: Float[Tensor, "G 4"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseViews:
    """What the regression model renders at the targets.

    images: straight colours, holes filled plausibly; ``images * opacity`` is the premultiplied
        render.
    opacity: 1 where the render is certain, 0 where nothing was splatted; ``None`` if unknown.
    depth: camera-z in scene units, 0 where empty.
    input_depth, input_confidence: camera-z of the inputs and how sure of it the model is, in
        [0, 1], where it measured them: a diffusion stage that needs them need not measure again.
    """

    images: Float[Tensor, "T 3 H W"]
    opacity: Float[Tensor, "T H W"] | None = None
    depth: Float[Tensor, "T H W"] | None = None
    gaussians: Gaussians | None = None
    input_depth: Float[Tensor, "N H W"] | None = None
    input_confidence: Float[Tensor, "N H W"] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Where a target lies between two inputs: ``position`` 0 at ``left``, 1 at ``right``."""

    left: int
    right: int
    position: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QualityReport:
    """Scores of the coarse views against the inputs' interpolated score (paper eq. 2).

    coarse: the views that were scored, for policies that look at them; ``None`` where unknown.
    """

    score: Float[Tensor, " T"]
    reference: Float[Tensor, " T"]
    ratio: Float[Tensor, " T"]
    input_score: Float[Tensor, " N"]
    coarse: CoarseViews | None = None


Objective = Literal["paper", "truth"]  # what a quality is a share of


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSteps:
    """One start step per target and why: ``num_steps`` serves the regression frame as it is.

    cluster: the scene cluster the rules were chosen for, or ``None`` when they do not depend on it.
    full_ratio: per target, the ratio that full diffusion is known to reach on such frames.
    objective: what a quality is a share of: ``paper`` (full diffusion's score, eq. 1) or ``truth``
        (the best similarity to ground truth that any plan reached on calibration scenes).
    walks: per target, in how many solver steps it covers what remains after its start, and by which
        solver; ``None``: as the pipeline's ``[plan]`` says.
    notes: how the rules were chosen. warnings: why they may not hold for this scene.
    """

    steps: tuple[int, ...]
    cluster: int | None = None
    full_ratio: tuple[float, ...] | None = None
    objective: Objective = "paper"
    walks: tuple[Walk, ...] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


RefineMask = Bool[Tensor, "T H W"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreEvidence:
    """What is known at run time about the images that a score sees, row for row.

    inputs: the scene's photos. renders: what the regression stage made of each image's view (of a
        photo: the photo). opacity: of the renders, 1 = certain; ``None`` if unknown. warps,
        inside: each view's nearest photos as seen from it through the render's depth, and where
        they look (1) or not (0); ``None`` where no depth is known. memory: what an estimator
        computed of all this and wants again in the same request, under names of its own.
    """

    inputs: Float[Tensor, "N 3 H W"]
    renders: Float[Tensor, "V 3 H W"]
    opacity: Float[Tensor, "V H W"] | None = None
    warps: Float[Tensor, "S V 3 H W"] | None = None
    inside: Float[Tensor, "S V H W"] | None = None
    memory: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def remembered(self, name: str, make: Callable[[], Made]) -> Made:
        """What ``memory`` has under a name; made when it is first asked for."""
        if name not in self.memory:
            self.memory[name] = make()
        found: Made = self.memory[name]
        return found

    def rows(self, chosen: Sequence[int]) -> "ScoreEvidence":
        """The evidence of some of the images, in that order."""

        def of(x: Tensor | None, dim: int) -> Any:
            if x is None or not chosen:
                return x if x is None else x.narrow(dim, 0, 0)
            # Slices, not an index: that would have to travel to the device.
            return torch.cat([x.narrow(dim, row, 1) for row in chosen], dim)

        return ScoreEvidence(
            inputs=self.inputs,
            renders=of(self.renders, 0),
            opacity=of(self.opacity, 0),
            warps=of(self.warps, 1),
            inside=of(self.inside, 1),
        )
