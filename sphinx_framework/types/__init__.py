"""The values that travel along the road of a request.

Shape letters, everywhere in the project: ``N`` input views, ``T`` target views (in a scene) or
frames of a clip (in the engine), ``R`` rows held by an executor, ``C`` channels, ``H W`` pixels,
``h w`` latent cells, ``G`` Gaussians.

Conventions: OpenCV axes (x right, y down, z forward); ``world_from_camera`` is 4x4; intrinsics are
in pixels of ``image_size`` with pixel centres at half-integers; images are float32 RGB in [0, 1];
opacity 1 means certain; times are seconds, memory is bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.frame_plan import Walk as Walk
from sphinx_framework.types.arrays import (
    Numbers,
    as_images,
    as_number,
    as_order,
    as_point,
    as_sentences,
)
from sphinx_framework.types.cameras import Cameras as Cameras
from sphinx_framework.types.layout import ClipLayout as ClipLayout
from sphinx_framework.types.layout import Slot as Slot
from sphinx_framework.types.layout import SlotKind as SlotKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoHints:
    """What the files of unposed photos say, for a pose estimator.

    names: of the files, for messages. focal: by their EXIF, in pixels of the photos; ``None`` where
        they say none or differ.
    """

    names: tuple[str, ...]
    focal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Scene:
    """Posed photos of a place, and the viewpoints asked for.

    near, far: depth range in scene units that holds the visible content, or ``None`` if unknown.
    target_images: ground truth at the targets where it exists (evaluation only).
    order: position of every camera along the capture, inputs first and then targets (frame
        numbers, timestamps); ``None`` when the scene has no order.
    origin: where the point (0, 0, 0) of this scene lies in the world that it was read from; not the
        same point for captures so far away that single precision could not tell them.

    Images may be numpy arrays or lists, uint8, float64, channels last: see :mod:`.arrays`.
    """

    images: Float[Tensor, "N 3 H W"]
    inputs: Cameras
    targets: Cameras
    name: str = "scene"
    near: float | None = None
    far: float | None = None
    target_images: Float[Tensor, "T 3 H W"] | None = None
    order: tuple[float, ...] | None = None
    warnings: tuple[str, ...] = ()
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __init__(  # noqa: PLR0913 - one argument a field
        self,
        *,
        images: Numbers,
        inputs: Cameras,
        targets: Cameras,
        name: str = "scene",
        near: float | None = None,
        far: float | None = None,
        target_images: Numbers | None = None,
        order: Sequence[float] | NDArray[np.generic] | Tensor | None = None,
        warnings: Sequence[str] = (),
        origin: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        truth = None if target_images is None else as_images(target_images, "target_images")
        for role, cameras in (("inputs", inputs), ("targets", targets)):
            if not isinstance(cameras, Cameras):
                raise SceneError(f"{role} must be Cameras, got {type(cameras).__name__}.")
        values = {
            "images": as_images(images, "images"),
            "inputs": inputs.single(),
            "targets": targets.single(),
            "name": str(name),
            "near": as_number(near, "near"),
            "far": as_number(far, "far"),
            "target_images": truth,
            "order": as_order(order),
            "warnings": as_sentences(warnings, "warnings"),
            "origin": as_point(origin, "origin"),
        }
        for field_name, value in values.items():
            object.__setattr__(self, field_name, value)

    def validate(self) -> None:
        """Raise :class:`SceneError` when counts, sizes, ranges or poses do not fit together."""
        if len(self.inputs) == 0 or len(self.targets) == 0:
            raise SceneError(
                f"a scene needs at least 1 input and 1 target, got {len(self.inputs)} and "
                f"{len(self.targets)}.",
                hint="Choose targets with --targets.",
            )
        if self.images.shape[0] != len(self.inputs):
            raise SceneError(f"{self.images.shape[0]} images but {len(self.inputs)} input cameras.")
        size = tuple(self.images.shape[-2:])
        if size != self.inputs.image_size or size != self.targets.image_size:
            raise SceneError(
                f"images are {size}, but the cameras say {self.inputs.image_size} (inputs) and "
                f"{self.targets.image_size} (targets).",
                hint="Intrinsics and images must describe the same pixels.",
            )
        cameras = len(self.inputs) + len(self.targets)
        if self.order is not None and len(self.order) != cameras:
            raise SceneError(
                f"the order has {len(self.order)} positions for {cameras} cameras.",
                hint="Give one position per input and target, inputs first, or none at all.",
            )
        if self.images.is_meta:
            raise SceneError("the images are on meta, without numbers.")
        _check_colours(self.images, "images")
        truth = self.target_images
        if truth is not None:
            if tuple(truth.shape) != (len(self.targets), 3, *size):
                raise SceneError(
                    f"target_images are {tuple(truth.shape)} for {len(self.targets)} targets of "
                    f"{size}."
                )
            _check_colours(truth, "target_images")
        self._check_range()
        self.inputs.validate("input camera")
        self.targets.validate("target camera")

    def _check_range(self) -> None:
        near, far = self.near, self.far
        if (near is None) != (far is None):
            raise SceneError("give both near and far, or neither.")
        if near is not None and far is not None and not 0 < near < far < math.inf:
            raise SceneError(
                f"the depth range must satisfy 0 < near < far, got near={near:g}, far={far:g}."
            )

    def cameras_of(self, layout: ClipLayout) -> Cameras:
        """Cameras of a clip's slots, in the model's order, for the targets' image size."""
        poses = layout.stacked(self.inputs.world_from_camera, self.targets.world_from_camera)
        return Cameras(
            world_from_camera=poses,
            intrinsics=layout.stacked(self.inputs.intrinsics, self.targets.intrinsics),
            image_size=self.targets.image_size,
        )

    def to(self, device: torch.device) -> "Scene":
        """Copy images and cameras to a device; what is there already is shared, not copied."""
        return Scene(
            images=self.images.to(device),
            inputs=self.inputs.to(device),
            targets=self.targets.to(device),
            name=self.name,
            near=self.near,
            far=self.far,
            target_images=None if self.target_images is None else self.target_images.to(device),
            order=self.order,
            warnings=self.warnings,
            origin=self.origin,
        )


def _check_colours(images: Tensor, what: str) -> None:
    images = images.detach()  # only looked at: float() of what has a gradient is a warning
    if not torch.isfinite(images).all():
        raise SceneError(f"the {what} hold NaN or infinity.")
    low, high = float(images.min()), float(images.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise SceneError(
            f"{what} must lie in [0, 1], got [{low:.3g}, {high:.3g}].",
            hint="Divide bytes by 255, or hand them over as uint8." if high > 2 else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussians:
    """3-D Gaussians in world coordinates.

    means, covariances: scene units (squared for covariances).
    harmonics: real spherical-harmonic colour coefficients, degree-major, ``d = (degree + 1)**2``.
    opacities: in [0, 1].
    """

    means: Float[Tensor, "G 3"]
    covariances: Float[Tensor, "G 3 3"]
    harmonics: Float[Tensor, "G 3 d"]
    opacities: Float[Tensor, " G"]
    scales: Float[Tensor, "G 3"] | None = None
    rotations: Float[Tensor, "G 4"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def rows(self, chosen: Sequence[int]) -> "ScoreEvidence":
        """The evidence of some of the images, in that order."""
        index = list(chosen)
        return ScoreEvidence(
            inputs=self.inputs,
            renders=self.renders[index],
            opacity=None if self.opacity is None else self.opacity[index],
            warps=None if self.warps is None else self.warps[:, index],
            inside=None if self.inside is None else self.inside[:, index],
        )
