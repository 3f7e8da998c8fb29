"""What comes out of the pairs: cameras and one world for all pointmaps."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.types import Cameras
from sphinx_framework_dust3r.geometry.pinhole import (
    intrinsic_matrices,
    inverse_pose,
    pixel_grid,
    rigid,
    transform,
    unproject,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCameras:
    """What is given of the cameras and stays fixed; in pixels of the network images.

    Image positions count from the same ``pixel_centre`` as the alignment's.

    poses: camera to world, OpenCV axes. focals: along x and y. principal_points: (cx, cy); half
        the image size where they are not given.
    """

    poses: Float[Tensor, "N 4 4"] | None = None
    focals: Float[Tensor, "N 2"] | None = None
    principal_points: Float[Tensor, "N 2"] | None = None

    def centres(self, image_centres: Float[Tensor, "N 2"]) -> Float[Tensor, "N 2"]:
        """The known principal points, else the given ones."""
        return image_centres if self.principal_points is None else self.principal_points


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """Cameras, depths and world points of the images of a set of pairs.

    poses: camera to world, OpenCV axes; the unit of length is arbitrary unless poses were known.
    focals, principal_points: pixels of the network images, positions counted from
        ``pixel_centre`` at the first pixel's centre.
    depth: camera-z. points: ``depth`` unprojected into the world. confidence: 1 and above.
    losses: of the optimisation, before each step; empty for the closed form.
    """

    poses: Float[Tensor, "N 4 4"]
    focals: Float[Tensor, "N 2"]
    principal_points: Float[Tensor, "N 2"]
    pixel_centre: float
    depth: Float[Tensor, "N H W"]
    points: Float[Tensor, "N H W 3"]
    confidence: Float[Tensor, "N H W"]
    losses: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def image_size(self) -> tuple[int, int]:
        """``(height, width)`` of the depth maps."""
        return self.depth.shape[1], self.depth.shape[2]

    @property
    def cameras(self) -> Cameras:
        """The cameras in the framework's convention, pixel centres at half-integers."""
        shift = 0.5 - self.pixel_centre
        return Cameras(
            world_from_camera=self.poses,
            intrinsics=intrinsic_matrices(self.focals, self.principal_points + shift),
            image_size=self.image_size,
        )

    def seen_from(self, image: int) -> "Reconstruction":
        """The same reconstruction with the camera of one image as the world."""
        world_from_old = inverse_pose(self.poses[image])
        return replace(
            self,
            poses=world_from_old @ self.poses,
            points=transform(world_from_old, self.points),
        )

    def scaled(self, factor: float) -> "Reconstruction":
        """The same reconstruction in another unit, about the centre of the first camera."""
        centre = self.poses[0, :3, 3]
        moved = centre + factor * (self.poses[:, :3, 3] - centre)
        return replace(
            self,
            poses=rigid(self.poses[:, :3, :3], moved),
            depth=self.depth * factor,
            points=centre + factor * (self.points - centre),
        )


def assemble(
    poses: Float[Tensor, "N 4 4"],
    focals: Float[Tensor, "N 2"],
    principal_points: Float[Tensor, "N 2"],
    depth: Float[Tensor, "N H W"],
    confidence: Float[Tensor, "N H W"],
    pixel_centre: float,
    warnings: tuple[str, ...] = (),
) -> Reconstruction:
    """A reconstruction whose world points are its depths, unprojected."""
    grid = pixel_grid((depth.shape[1], depth.shape[2]), pixel_centre, depth.device)
    return Reconstruction(
        poses=poses,
        focals=focals,
        principal_points=principal_points,
        pixel_centre=pixel_centre,
        depth=depth,
        points=transform(poses, unproject(depth, grid, focals, principal_points)),
        confidence=confidence,
        warnings=warnings,
    )


def half_image(count: int, size: tuple[int, int], like: Tensor) -> Float[Tensor, "N 2"]:
    """The assumed principal points: half of width and height."""
    return torch.tensor([size[1] / 2, size[0] / 2]).to(like).expand(count, 2).clone()
