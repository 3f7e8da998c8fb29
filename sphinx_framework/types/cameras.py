"""A batch of pinhole cameras, and what makes one usable."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.types.arrays import Numbers, as_intrinsics, as_poses, as_size

ROTATION_TOLERANCE = 1e-3
LENS_TOLERANCE = 1e-3
FEW_PIXELS, NORMALISED = 16, 4.0  # focal lengths of so few pixels are shares of the image's size


@dataclass(frozen=True, slots=True, kw_only=True, init=False, eq=False)
class Cameras:
    """A batch of pinhole cameras that share one image size.

    world_from_camera: rigid camera-to-world matrices, OpenCV axes, scene units.
    intrinsics: ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` in pixels of ``image_size``; a skew is
        refused.
    image_size: ``(height, width)`` in pixels.

    Numpy arrays and lists become float32 tensors (poses of float64 that stand too far from the
    origin for that stay as they are, for a scene to centre), 3x4 poses get their last row, and
    one camera matrix serves all cameras; :class:`SceneError` for what cannot be meant.
    """

    world_from_camera: Float[Tensor, "V 4 4"]
    intrinsics: Float[Tensor, "V 3 3"]
    image_size: tuple[int, int]

    def __init__(
        self, *, world_from_camera: Numbers, intrinsics: Numbers, image_size: Sequence[int]
    ) -> None:
        poses = as_poses(world_from_camera)
        object.__setattr__(self, "world_from_camera", poses)
        object.__setattr__(self, "intrinsics", as_intrinsics(intrinsics, len(poses)))
        object.__setattr__(self, "image_size", as_size(image_size))

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

    def single(self) -> "Cameras":
        """In single precision, as all cameras of a scene are."""
        if self.world_from_camera.dtype == self.intrinsics.dtype == torch.float32:
            return self
        return Cameras(
            world_from_camera=self.world_from_camera.float(),
            intrinsics=self.intrinsics.float(),
            image_size=self.image_size,
        )

    def validate(self, what: str) -> "Cameras":
        """Raise :class:`SceneError` naming the first camera of ``what`` that is not usable.

        Returns them as they lie on the CPU, so that further checks need not wait for a device.
        """
        if self.world_from_camera.is_meta or self.intrinsics.is_meta:
            raise SceneError(f"{what} 0: its pose or intrinsics are on meta, without numbers.")
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
            bottom = [k[1, 0], k[2, 0], k[2, 1], k[2, 2] - 1]
            if max(abs(float(entry)) for entry in bottom) > LENS_TOLERANCE:
                raise SceneError(
                    f"{what} {i}: its intrinsics are {k.tolist()}.",
                    hint="Intrinsics are [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]: transposed?",
                )
            if abs(float(k[0, 1])) > LENS_TOLERANCE * float(k[0, 0]):
                raise SceneError(
                    f"{what} {i}: its intrinsics have a skew of {float(k[0, 1]):g} pixels.",
                    hint="Pixels must be rectangles: resample the image to a camera without skew, "
                    "then set the entry to 0.",
                )
            if min(self.image_size) >= FEW_PIXELS and float(k[:2].abs().max()) < NORMALISED:
                raise SceneError(
                    f"{what} {i}: its intrinsics are those of an image of one pixel, "
                    f"fx={float(k[0, 0]):g}, cx={float(k[0, 2]):g}.",
                    hint="Intrinsics are in pixels: multiply normalised ones by the image size.",
                )
        return replace(self, world_from_camera=poses, intrinsics=lenses)
