"""A request's input: posed photos of a place, and the viewpoints asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.types.arrays import (
    Numbers,
    as_images,
    as_number,
    as_order,
    as_point,
    as_sentences,
)
from sphinx_framework.types.cameras import Cameras
from sphinx_framework.types.layout import ClipLayout
from sphinx_framework.types.origin import moved
from sphinx_framework.types.own_device import on_the_cpu
from sphinx_framework.types.placing import check_one_world, check_rounding, placed


@dataclass(frozen=True, slots=True, kw_only=True, init=False, eq=False)
class Scene:
    """Posed photos of a place, and the viewpoints asked for.

    near, far: depth range in scene units that holds the visible content, or ``None`` if unknown.
    target_images: ground truth at the targets where it exists (evaluation only).
    order: position of every camera along the capture, inputs first and then targets (frame
        numbers, timestamps); ``None`` when the scene has no order.
    origin: where the point (0, 0, 0) of this scene lies in the world that it was read or made from.
        Cameras in float64 so far from their world's origin that single precision could not tell
        them apart are centred, and this is the point that was subtracted; results are written in
        their world, and :meth:`in_world` gives a scene's cameras back in it.

    Images may be numpy arrays or lists, uint8, float64, channels last: see :mod:`.arrays`.
    ``replace`` takes cameras relative to the scene's origin, as the scene's own are.
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
        depth = as_number(near, "near")
        inputs, targets, middle = placed(inputs, targets, depth, as_point(origin, "origin"))
        values = {
            "images": as_images(images, "images"),
            "inputs": inputs,
            "targets": targets,
            "name": str(name),
            "near": depth,
            "far": as_number(far, "far"),
            "target_images": truth,
            "order": as_order(order),
            "warnings": as_sentences(warnings, "warnings"),
            "origin": middle,
        }
        for field_name, value in values.items():
            object.__setattr__(self, field_name, value)

    def validate(self) -> None:
        """Raise :class:`SceneError` when counts, sizes, ranges or poses do not fit together."""
        with on_the_cpu():
            self._validate()

    def _validate(self) -> None:
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
        inputs = self.inputs.validate("input camera")
        targets = self.targets.validate("target camera")
        check_one_world(inputs, targets, self.origin)
        check_rounding(inputs, targets, self.near)

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

    def in_world(self, cameras: Cameras) -> Cameras:
        """Cameras of this scene in the world that it was read or made from.

        On the CPU; in double precision where that world's origin is not the scene's.
        """
        poses = moved(cameras.world_from_camera.detach().cpu(), self.origin, 1)
        return replace(
            cameras, world_from_camera=poses, intrinsics=cameras.intrinsics.detach().cpu()
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
