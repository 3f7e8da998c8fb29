"""What a scene lends to a file of poses that leaves something out, and the fit of its cameras."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sphinx_framework.scenes.capture import Shot, in_file_pixels, shot_cameras
from sphinx_framework.scenes.checks import check_intrinsics
from sphinx_framework.types import Cameras, Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender:
    """A fitted scene as the lender of intrinsics and sizes.

    photo_size: (height, width) that the scene's own intrinsics are for, before its photos were
        fitted: those of a file of poses without a size are for the same. fit: how they were fitted.
    camera: the first input, already fitted; for poses without intrinsics.
    """

    scene: Scene
    photo_size: tuple[int, int]
    fit: str
    camera: Shot

    def doubts(self, shots: Sequence[Shot]) -> tuple[str, ...]:
        """The first doubt about intrinsics of the shots' own, for images of their own size.

        What they borrow was checked with the scene, before a crop moved its principal point.

        Raises:
            SceneError: intrinsics that cannot be those of an image.
        """
        doubts = [
            note
            for shot in shots
            if shot.intrinsics is not self.camera.intrinsics
            for note in check_intrinsics(
                shot.where,
                *in_file_pixels(shot, self.photo_size),
                stated=shot.image_size is not None,
            )
        ]
        return tuple(doubts[:1])

    def cameras(self, shots: Sequence[Shot]) -> Cameras:
        """The shots' cameras at the size and about the origin of the scene."""
        return shot_cameras(
            shots,
            self.scene.inputs.image_size,
            self.fit,
            default_size=self.photo_size,
            origin=self.scene.origin,
        )


def lender_of(scene: Scene, photo_size: tuple[int, int] | None, fit: str) -> Lender:
    """The scene as a lender; one whose photos were never fitted has their size."""
    size = scene.inputs.image_size
    camera = Shot(
        where=scene.name,
        file=None,
        world_from_camera=torch.eye(4, dtype=torch.float64),
        intrinsics=scene.inputs.intrinsics[0].double().cpu(),
        normalised=False,
        image_size=size,
        order=None,
    )
    return Lender(scene=scene, photo_size=photo_size or size, fit=fit, camera=camera)
