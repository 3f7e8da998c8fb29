"""The values that travel along the road of a request.

Shape letters, everywhere in the project: ``N`` input views, ``T`` target views (in a scene) or
frames of a clip (in the engine), ``R`` rows held by an executor, ``C`` channels, ``H W`` pixels,
``h w`` latent cells, ``G`` Gaussians.

Conventions: OpenCV axes (x right, y down, z forward); ``world_from_camera`` is 4x4; intrinsics are
in pixels of ``image_size`` with pixel centres at half-integers; images are float32 RGB in [0, 1];
opacity 1 means certain; times are seconds, memory is bytes.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework.errors import SceneError

ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cameras:
    """A batch of pinhole cameras that share one image size.

    world_from_camera: rigid camera-to-world matrices, OpenCV axes, scene units.
    intrinsics: ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` in pixels of ``image_size``.
    image_size: ``(height, width)`` in pixels.
    """

    world_from_camera: Float[Tensor, "V 4 4"]
    intrinsics: Float[Tensor, "V 3 3"]
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return self.world_from_camera.shape[0]

    @property
    def centres(self) -> Float[Tensor, "V 3"]:
        """Camera centres in world coordinates."""
        return self.world_from_camera[:, :3, 3]

    @property
    def camera_from_world(self) -> Float[Tensor, "V 4 4"]:
        """Inverse poses, from the rigid structure (no matrix inversion)."""
        rotation = self.world_from_camera[:, :3, :3].transpose(1, 2)
        inverse = torch.zeros_like(self.world_from_camera)
        inverse[:, :3, :3] = rotation
        inverse[:, :3, 3] = -(rotation @ self.centres[..., None])[..., 0]
        inverse[:, 3, 3] = 1
        return inverse

    def __getitem__(self, index: int | slice | list[int]) -> "Cameras":
        rows = [index] if isinstance(index, int) else index
        return Cameras(
            world_from_camera=self.world_from_camera[rows],
            intrinsics=self.intrinsics[rows],
            image_size=self.image_size,
        )

    def to(self, device: torch.device) -> "Cameras":
        """Copy to a device."""
        return Cameras(
            world_from_camera=self.world_from_camera.to(device),
            intrinsics=self.intrinsics.to(device),
            image_size=self.image_size,
        )

    def validate(self, what: str) -> None:
        """Raise :class:`SceneError` naming the first camera of ``what`` that is not usable."""
        # Checked on the CPU: numbers that are read one by one would each wait for a device.
        poses, lenses = self.world_from_camera.detach().cpu(), self.intrinsics.detach().cpu()
        for i in range(len(self)):
            pose, k = poses[i], lenses[i]
            if not torch.isfinite(pose).all() or not torch.isfinite(k).all():
                raise SceneError(
                    f"{what} {i}: its pose or intrinsics hold NaN or infinity.",
                    hint="Remove that frame, or estimate its camera again.",
                )
            if pose[3].tolist() != [0, 0, 0, 1]:
                raise SceneError(
                    f"{what} {i}: its pose is not rigid (last row {pose[3].tolist()}).",
                    hint="Poses are 4x4 camera-to-world matrices whose last row is 0 0 0 1.",
                )
            rotation = pose[:3, :3].double()
            error = (rotation @ rotation.T - torch.eye(3, dtype=torch.float64)).abs().max()
            if error > ROTATION_TOLERANCE or torch.linalg.det(rotation) < 0:
                raise SceneError(
                    f"{what} {i}: its pose is not rigid (rotation off by {float(error):.3g}, "
                    f"determinant {float(torch.linalg.det(rotation)):.3g}).",
                    hint="Poses must be camera-to-world rotations and translations, unscaled.",
                )
            if k[0, 0] <= 0 or k[1, 1] <= 0:
                raise SceneError(
                    f"{what} {i}: focal lengths must be positive, got "
                    f"fx={float(k[0, 0]):g}, fy={float(k[1, 1]):g}.",
                    hint="Intrinsics are in pixels of the image size.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoHints:
    """What the files of unposed photos say, for a pose estimator.

    names: of the files, for messages. focal: by their EXIF, in pixels of the photos; ``None`` where
        they say none or differ.
    """

    names: tuple[str, ...]
    focal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Posed photos of a place, and the viewpoints asked for.

    near, far: depth range in scene units that holds the visible content, or ``None`` if unknown.
    target_images: ground truth at the targets where it exists (evaluation only).
    order: position of every camera along the capture, inputs first and then targets (frame
        numbers, timestamps); ``None`` when the scene has no order.
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

    def validate(self) -> None:
        """Raise :class:`SceneError` when counts, sizes, ranges or poses do not fit together."""
        if self.images.ndim != 4 or self.images.shape[1] != 3:
            raise SceneError(f"images must be [N, 3, H, W], got {tuple(self.images.shape)}.")
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
        if not torch.isfinite(self.images).all():
            raise SceneError("the input images hold NaN or infinity.")
        if float(self.images.min()) < -1e-3 or float(self.images.max()) > 1 + 1e-3:
            raise SceneError(
                f"images must lie in [0, 1], got [{float(self.images.min()):.3g}, "
                f"{float(self.images.max()):.3g}]."
            )
        self.inputs.validate("input camera")
        self.targets.validate("target camera")

    def to(self, device: torch.device) -> "Scene":
        """Copy images and cameras to a device."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSteps:
    """One start step per target and why: ``num_steps`` serves the regression frame as it is.

    cluster: the scene cluster the rules were chosen for, or ``None`` when they do not depend on it.
    full_ratio: per target, the ratio that full diffusion is known to reach on such frames.
    objective: what a quality is a share of: ``paper`` (full diffusion's score, eq. 1) or ``truth``
        (the best similarity to ground truth that any plan reached on calibration scenes).
    notes: how the rules were chosen. warnings: why they may not hold for this scene.
    """

    steps: tuple[int, ...]
    cluster: int | None = None
    full_ratio: tuple[float, ...] | None = None
    objective: Literal["paper", "truth"] = "paper"
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


RefineMask = Bool[Tensor, "T H W"]
SlotKind = Literal["input", "target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One frame of a clip: an input photo, or a target to be made.

    given: a target that an earlier clip of the request has finished and that conditions this one.
    """

    kind: SlotKind
    index: int
    given: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLayout:
    """The frames of one diffusion pass, in the model's order.

    latents: the slots that each latent holds, for an autoencoder that compresses time; every slot
        in exactly one of them. ``None``: one latent a slot. A latent starts with the earliest of
        its targets, and the clip is encoded and decoded as a whole.
    """

    slots: tuple[Slot, ...]
    notes: tuple[str, ...] = field(default=())
    latents: tuple[tuple[int, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def num_latents(self) -> int:
        """Rows that the clip has in the network."""
        return len(self.slots) if self.latents is None else len(self.latents)

    @property
    def held(self) -> tuple[tuple[int, ...], ...]:
        """The slots that each latent holds."""
        each = tuple((position,) for position in range(len(self.slots)))
        return each if self.latents is None else self.latents

    @property
    def made(self) -> dict[int, tuple[int, ...]]:
        """Latent -> indices of the targets that it makes, of latents that make any."""
        own = self.targets
        made = {
            latent: tuple(own[position] for position in slots if position in own)
            for latent, slots in enumerate(self.held)
        }
        return {latent: targets for latent, targets in made.items() if targets}

    def stacked(
        self, inputs: Float[Tensor, "N *d"], targets: Float[Tensor, "T *d"]
    ) -> Float[Tensor, "S *d"]:
        """One entry per slot, in the model's order, from what belongs to inputs and targets."""
        return torch.stack(
            [(inputs if s.kind == "input" else targets)[s.index] for s in self.slots]
        )

    @property
    def targets(self) -> dict[int, int]:
        """Slot position -> target index, of the targets that this clip makes."""
        return {
            position: slot.index
            for position, slot in enumerate(self.slots)
            if slot.kind == "target" and not slot.given
        }
