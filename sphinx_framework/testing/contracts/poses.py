"""The contract of pose estimators: cameras of photos whose poses are known."""

from functools import lru_cache

import torch
from torch import Tensor

from sphinx_framework.errors import InputError
from sphinx_framework.geometry.rotations import rotation_angles
from sphinx_framework.protocols import EstimatedCameras, PoseEstimator
from sphinx_framework.testing.contracts.base import Contract, NotApplicable
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import Cameras, PhotoHints, Scene


@lru_cache(maxsize=2)
def _room(views: int, size: tuple[int, int]) -> Scene:
    """The room; nothing is handed out that shares its memory."""
    return room_scene(views, size)


class PoseContract(Contract):
    """Cameras of unposed photos.

    trained: whether accuracy may be asked for (not of a network with random weights); ``None``
        asks the component's attribute of that name, and takes one without it to be trained.
    """

    size: tuple[int, int] = (160, 208)
    views: int = 4
    trained: bool | None = None
    paragraph = "A pose estimator"

    def photos(self, size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
        """Photos of a textured room and their true poses, in the order of the track."""
        scene = _room(self.views, size or self.size)
        assert scene.target_images is not None
        inputs, poses = scene.inputs.world_from_camera, scene.targets.world_from_camera
        images = torch.cat([scene.images[:1], scene.target_images, scene.images[1:]])
        return images.to(self.device), torch.cat([inputs[:1], poses, inputs[1:]])

    def _found(self, images: Tensor) -> EstimatedCameras:
        estimator: PoseEstimator = self.make()
        try:
            # Photos come in the order of the hands that gave them, not of their names.
            hints = PhotoHints(names=tuple(f"{9 - index}.png" for index in range(len(images))))
            return estimator.estimate_poses(images, hints=hints)
        except InputError as refusal:
            if self._trained():
                raise
            raise NotApplicable(f"untrained, and it refuses: {refusal}") from refusal

    def _trained(self) -> bool:
        return bool(getattr(self.make(), "trained", True) if self.trained is None else self.trained)

    def test_one_rigid_camera_per_photo(self) -> None:
        images, _ = self.photos()
        self._rigid(self._found(images), images)

    def test_photos_may_stand_upright(self) -> None:
        images, _ = self.photos((self.size[1], self.size[0]))
        try:
            found = self._found(images)
        except InputError:  # to refuse them is an answer, too
            return
        self._rigid(found, images)

    def _rigid(self, found: EstimatedCameras, images: Tensor) -> None:
        size = (int(images.shape[-2]), int(images.shape[-1]))
        absent = [n for n in ("cameras", "near", "far", "warnings") if not hasattr(found, n)]
        self.expect(not absent, "cameras, near, far and warnings", f"none of {absent}")
        self.expect(isinstance(found.cameras, Cameras), "Cameras", type(found.cameras).__name__)
        self.expect_texts(found.warnings, "warnings")
        self.expect(len(found.cameras) == len(images), f"{len(images)} cameras", len(found.cameras))
        self.expect(
            tuple(found.cameras.image_size) == size,
            f"cameras for the photos' own {size} pixels",
            found.cameras.image_size,
        )
        self.expect_valid("estimated cameras", found.cameras)
        near, far = found.near, found.far
        if near is not None or far is not None:
            self.expect(
                near is not None and far is not None and 0 < near < far,
                "0 < near < far, or neither",
                (near, far),
            )
        height, width = size
        for index, lens in enumerate(found.cameras.intrinsics.cpu()):
            focal, centre = (float(lens[0, 0]), float(lens[1, 1])), (lens[0, 2], lens[1, 2])
            self.expect(
                all(0.1 * max(size) < f < 20 * max(size) for f in focal)
                and 0.3 * width < centre[0] < 0.7 * width
                and 0.3 * height < centre[1] < 0.7 * height,
                f"intrinsics in pixels of {size}",
                f"focal lengths {focal}, centre {float(centre[0]), float(centre[1])} "
                f"of camera {index}",
            )

    def test_is_repeatable_and_leaves_the_photos_alone(self) -> None:
        images, _ = self.photos()
        with self.leaves_alone(photos=images):
            first = self._found(images).cameras.world_from_camera.clone()
            backwards = self._found(images.flip(0)).cameras
            second = self._found(images).cameras.world_from_camera
        error = float((first - second).abs().max())
        self.expect(
            error < 1e-3,
            "the same poses of the same photos, whatever was estimated in between",
            f"off by {error:.3g}",
        )
        self.expect(len(backwards) == len(images), f"{len(images)} cameras", len(backwards))

    def test_hints_may_be_missing(self) -> None:
        images, _ = self.photos()
        estimator: PoseEstimator = self.make()
        try:
            found = self._of_fewer(estimator, images)
        except InputError as refusal:
            if self._trained():
                raise
            raise NotApplicable(f"untrained, and it refuses: {refusal}") from refusal
        self.expect(len(found.cameras) == len(images), f"{len(images)} cameras", len(found.cameras))

    def _of_fewer(self, estimator: PoseEstimator, images: Tensor) -> EstimatedCameras:
        """Of all photos, after one photo fewer, which it may refuse."""
        try:
            fewer = estimator.estimate_poses(images[:-1])
        except InputError:
            pass
        else:
            count = len(images) - 1
            self.expect(len(fewer.cameras) == count, f"{count} cameras", len(fewer.cameras))
        return estimator.estimate_poses(images)

    def test_poses_are_camera_to_world(self) -> None:
        if not self._trained():
            raise NotApplicable("nothing is known of an untrained estimator's accuracy")
        images, truth = self.photos()
        poses = self._found(images).cameras.world_from_camera.cpu()
        longest, true_longest = (float((p[-1] - p[0])[:3, 3].norm()) for p in (poses, truth))
        for index in range(1, len(truth)):
            self._placed(poses, truth, index)
            share = float((poses[index] - poses[0])[:3, 3].norm()) / max(longest, 1e-12)
            wanted = float((truth[index] - truth[0])[:3, 3].norm()) / true_longest
            self.expect(
                abs(share - wanted) < 0.25,
                f"camera {index} at {wanted:.2f} of the way to the last",
                f"{share:.2f} (translations of pairs have no common length)",
            )  # fmt: skip

    def _placed(self, poses: Tensor, truth: Tensor, index: int) -> None:
        """One camera against the first: turned as it is, in the direction where it lies."""
        which = "the last camera" if index == len(truth) - 1 else f"camera {index}"
        turned, truly = (p[0, :3, :3].T @ p[index, :3, :3] for p in (poses, truth))
        degrees = float(torch.rad2deg(rotation_angles(turned, truly)))
        self.expect(
            degrees < 5, f"{which} turned against the first as it is, within 5 degrees",
            f"{degrees:.1f} degrees off (camera-to-world, OpenCV axes?)",
        )  # fmt: skip
        moved, true_move = (
            p[0, :3, :3].T @ (p[index, :3, 3] - p[0, :3, 3]) for p in (poses, truth)
        )
        cosine = float(torch.nn.functional.cosine_similarity(moved, true_move, dim=0))
        self.expect(
            cosine > 0.9, f"{which} to lie where it does, seen from the first",
            f"a direction whose cosine with the truth is {cosine:.2f}",
        )  # fmt: skip
