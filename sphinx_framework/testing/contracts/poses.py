"""The contract of pose estimators: cameras of photos whose poses are known."""

import torch
from torch import Tensor

from sphinx_framework.errors import InputError
from sphinx_framework.geometry.rotations import rotation_angles
from sphinx_framework.protocols import EstimatedCameras, PoseEstimator
from sphinx_framework.testing.contracts.base import Contract, NotApplicable
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import PhotoHints


class PoseContract(Contract):
    """Cameras of unposed photos.

    trained: whether accuracy may be asked for (not of a network with random weights).
    """

    size: tuple[int, int] = (160, 208)
    views: int = 4
    trained: bool = True
    paragraph = "A pose estimator"

    def photos(self) -> tuple[Tensor, Tensor]:
        """Photos of a textured room and their true poses, in the order of the track."""
        scene = room_scene(self.views, self.size)
        assert scene.target_images is not None
        inputs, poses = scene.inputs.world_from_camera, scene.targets.world_from_camera
        images = torch.cat([scene.images[:1], scene.target_images, scene.images[1:]])
        return images.to(self.device), torch.cat([inputs[:1], poses, inputs[1:]])

    def _found(self, images: Tensor) -> EstimatedCameras:
        estimator: PoseEstimator = self.make()
        try:
            hints = PhotoHints(names=tuple(f"{index}.png" for index in range(len(images))))
            return estimator.estimate_poses(images, hints=hints)
        except InputError as refusal:
            if self.trained:
                raise
            raise NotApplicable(f"untrained, and it refuses: {refusal}") from refusal

    def test_one_rigid_camera_per_photo(self) -> None:
        images, _ = self.photos()
        found = self._found(images)
        self.expect(len(found.cameras) == len(images), f"{len(images)} cameras", len(found.cameras))
        self.expect(
            found.cameras.image_size == self.size,
            f"cameras for the photos' own {self.size} pixels",
            found.cameras.image_size,
        )
        found.cameras.validate("estimated camera")
        near, far = found.near, found.far
        if near is not None or far is not None:
            self.expect(
                near is not None and far is not None and 0 < near < far,
                "0 < near < far, or neither",
                (near, far),
            )

    def test_is_repeatable_and_leaves_the_photos_alone(self) -> None:
        images, _ = self.photos()
        with self.leaves_alone(photos=images):
            first = self._found(images).cameras.world_from_camera
            second = self._found(images).cameras.world_from_camera
        error = float((first - second).abs().max())
        self.expect(error < 1e-3, "the same poses of the same photos", f"off by {error:.3g}")

    def test_poses_are_camera_to_world(self) -> None:
        if not self.trained:
            raise NotApplicable("nothing is known of an untrained estimator's accuracy")
        images, truth = self.photos()
        poses = self._found(images).cameras.world_from_camera.cpu()
        wanted = truth[0, :3, :3].T @ truth[-1, :3, :3]
        came = poses[0, :3, :3].T @ poses[-1, :3, :3]
        degrees = float(torch.rad2deg(rotation_angles(came, wanted)))
        self.expect(
            degrees < 5, "the last camera turned against the first as it is, within 5 degrees",
            f"{degrees:.1f} degrees off (camera-to-world, OpenCV axes?)",
        )  # fmt: skip
        moved, true_move = (p[0, :3, :3].T @ (p[-1, :3, 3] - p[0, :3, 3]) for p in (poses, truth))
        cosine = float(torch.nn.functional.cosine_similarity(moved, true_move, dim=0))
        self.expect(
            cosine > 0.9, "the last camera to lie where it does, seen from the first",
            f"a direction whose cosine with the truth is {cosine:.2f}",
        )  # fmt: skip
