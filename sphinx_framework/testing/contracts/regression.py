"""The contract of stage 1: every target rendered, from its own camera, whatever the world frame."""

from dataclasses import replace

import torch
from torch import Tensor

from sphinx_framework.errors import InputError
from sphinx_framework.protocols import RegressionModel
from sphinx_framework.testing.contracts.base import NotApplicable, scene_tensors
from sphinx_framework.testing.contracts.demands import Demands
from sphinx_framework.testing.oracle import relative_error
from sphinx_framework.testing.scenes import yawed
from sphinx_framework.types import CoarseViews, Gaussians, Scene

FRAME_TOLERANCE = 0.02
MORE = 4


class RegressionContract(Demands):
    """Stage 1."""

    paragraph = "A regression model"

    def test_renders_every_target_in_range(self) -> None:
        model: RegressionModel = self.make()
        for scene in self.variations():
            with self.or_refused(scene):
                self._well_formed(scene, model.predict(scene))
        scene = self.scene()
        at_an_input = replace(scene, targets=scene.inputs, order=None)
        self._well_formed(at_an_input, model.predict(at_an_input))

    def _well_formed(self, scene: Scene, coarse: CoarseViews) -> None:
        size = tuple(scene.images.shape[-2:])
        count = len(scene.targets)
        self.expect(
            isinstance(coarse, CoarseViews), "predict to answer with CoarseViews", type(coarse)
        )
        self.expect_shape(coarse.images, (count, 3, *size), "images")
        self.expect(coarse.images.dtype == torch.float32, "float32 images", coarse.images.dtype)
        self.expect_range(coarse.images, 0, 1, "images")
        if coarse.opacity is not None:
            self.expect_shape(coarse.opacity, (count, *size), "opacity")
            self.expect_range(coarse.opacity, 0, 1, "opacity")
            came = coarse.opacity.dtype
            self.expect(came == torch.float32, "float32 opacity", came)
        if coarse.depth is not None:
            self.expect_shape(coarse.depth, (count, *size), "depth")
            self.expect(float(coarse.depth.min()) >= 0, "depth >= 0", float(coarse.depth.min()))
        for name in ("input_depth", "input_confidence"):
            values = getattr(coarse, name)
            if values is not None:
                self.expect_shape(values, (len(scene.inputs), *size), name)
                self.expect(float(values.min()) >= 0, f"{name} >= 0", float(values.min()))
        if coarse.gaussians is not None:
            self._well_formed_gaussians(coarse.gaussians)
        self.expect_texts(coarse.warnings, "warnings")

    def _well_formed_gaussians(self, gaussians: Gaussians) -> None:
        count = len(gaussians.means)
        self.expect_shape(gaussians.means, (count, 3), "means of Gaussians")
        self.expect_shape(gaussians.covariances, (count, 3, 3), "covariances of Gaussians")
        degrees = gaussians.harmonics.shape[-1]
        self.expect_shape(gaussians.harmonics, (count, 3, degrees), "harmonics of Gaussians")
        self.expect_shape(gaussians.opacities, (count,), "opacities of Gaussians")
        self.expect_range(gaussians.opacities, 0, 1, "opacities of Gaussians")

    def test_is_deterministic_and_leaves_the_scene_alone(self) -> None:
        scene = self.scene()
        model: RegressionModel = self.make()
        with self.leaves_alone(**scene_tensors(scene)):
            first, second = model.predict(scene), model.predict(scene)
        self.expect(
            torch.equal(first.images, second.images), "equal images for one scene", "others"
        )

    def test_permuting_targets_permutes_views(self) -> None:
        count = self.targets + MORE  # more than a batch that a model may render at once
        scene = replace(self.scene(targets=count), order=None)
        model: RegressionModel = self.make()
        together = model.predict(scene).images
        for order in (list(reversed(range(count))), [count - 1]):
            came = model.predict(replace(scene, targets=scene.targets[order])).images
            self._close(came, together[order], 1e-3, "a view that depends on its own target only")

    def test_every_photo_counts(self) -> None:
        model = self._of_the_photos()
        scene = self.scene(inputs=3)
        with self.or_refused(scene):
            usual = model.predict(scene)
            for index in range(len(scene.images)):
                images = scene.images.clone()
                images[index] = 1 - images[index].flip(-1)
                other = model.predict(replace(scene, images=images))
                self.expect(
                    usual.warnings or not torch.equal(other.images, usual.images),
                    f"other views when photo {index} of 3 is another, or a warning that says which "
                    "photos are used",
                    "the same views",
                )

    def _of_the_photos(self) -> RegressionModel:
        """The model; not applicable to one whose scene is in a file, in a world of its own."""
        model: RegressionModel = self.make()
        if getattr(model, "own_world", False):
            raise NotApplicable("its scene is its own (own_world), not that of the photos")
        return model

    def test_keeps_nothing_of_the_last_scene(self) -> None:
        model = self._of_the_photos()
        scene = self.scene(0)
        # Other photos from the same cameras: what is cached by size or camera would be seen.
        other = replace(scene, images=1 - scene.images.flip(-1))
        answer = model.predict(scene)
        first = answer.images
        with self.stay("coarse views", first, answer.opacity, answer.depth):
            between = model.predict(other).images
            again = model.predict(scene).images
        self.expect(torch.equal(first, again), "a scene to render as before", "other images")
        self.expect(
            relative_error(between, first) > 1e-3,
            "other photos to give other views",
            "the views of the scene before",
        )

    def test_knows_photos_by_what_they_show(self) -> None:
        model = self._of_the_photos()
        scene = self.scene(0)
        self.expect_by_content(
            lambda: model.predict(scene).images, scene.images, 1 - scene.images.flip(-1), "views"
        )

    def test_does_not_look_at_the_truth(self) -> None:
        model: RegressionModel = self.make()
        scene = self.scene()
        self.expect(
            torch.equal(model.predict(self.with_truth(scene)).images, model.predict(scene).images),
            "the same views where a scene knows its truth (target_images are for evaluation only)",
            "other views",
        )

    def test_requests_in_threads_equal_those_alone(self) -> None:
        model: RegressionModel = self.make()
        first, second = self.scene(0), self.scene(1)
        self.expect_in_threads(
            [lambda: _rendered(model, first), lambda: _rendered(model, second)], "views"
        )

    def test_the_world_frame_is_arbitrary(self) -> None:
        model = self._of_the_photos()
        scene = self.scene()
        elsewhere = self.elsewhere(scene)
        here, there = model.predict(scene), model.predict(elsewhere)
        self._close(
            there.images, here.images, FRAME_TOLERANCE,
            "equal views when the whole world is turned and shifted (poses are camera-to-world)",
        )  # fmt: skip
        if here.gaussians is None or there.gaussians is None:
            return
        # Seen from the first input their centre of mass stays where it was.
        seen, moved = (
            where.inputs.camera_from_world[0, :3, :3]
            @ (coarse.gaussians.means.mean(0) - where.inputs.centres[0])
            for coarse, where in ((here, scene), (there, elsewhere))
            if coarse.gaussians is not None
        )
        off = float((moved - seen).norm() / seen.norm().clamp(min=1e-9))
        self.expect(
            off <= 0.05,
            "Gaussians in world coordinates, which move with the world",
            f"a centre of mass that is off by {100 * off:.0f} % when the world is turned",
        )

    def test_a_target_has_a_lens_of_its_own(self) -> None:
        model: RegressionModel = self.make()
        scene = self.scene()
        usual = model.predict(scene).images
        for what, change in (
            ("a longer focal length", torch.tensor([[1.5, 1, 1], [1, 1.5, 1], [1, 1, 1]])),
            ("a shifted principal point", torch.tensor([[1, 1, 0.6], [1, 1, 0.7], [1, 1, 1]])),
        ):
            lenses = scene.targets.intrinsics * change.to(scene.targets.intrinsics)
            changed = replace(scene, targets=replace(scene.targets, intrinsics=lenses))
            self.expect(
                _least_error(model.predict(changed).images, usual) > 1e-3,
                f"another view through a lens with {what}",
                "the same view: the target's intrinsics are not used",
            )
            lenses = scene.targets.intrinsics.clone()
            lenses[-1] *= change.to(lenses)
            last = replace(scene, targets=replace(scene.targets, intrinsics=lenses))
            came = model.predict(last).images
            self._close(
                came[:-1], usual[:-1], 1e-3, "a lens that changes its own target's view only"
            )
            self.expect(
                _mean_error(came[-1:], usual[-1:]) > 1e-3,
                f"another view where only the last target's lens has {what}",
                "the same view: another target's intrinsics are used",
            )

    def test_a_photo_has_a_camera_of_its_own(self) -> None:
        model = self._of_the_photos()
        scene = self.scene()
        usual = model.predict(scene)
        for index in range(len(scene.inputs)):
            lenses, poses = scene.inputs.intrinsics.clone(), scene.inputs.world_from_camera.clone()
            lenses[index, :2, :2] *= 1.4
            poses[index, :3, :3] @= yawed(torch.tensor([15.0]))[0].to(poses)
            lens, turn = (
                replace(scene.inputs, intrinsics=lenses),
                replace(scene.inputs, world_from_camera=poses),
            )
            for how, cameras in (
                ("with a longer lens", lens),
                ("by a camera turned by 15 degrees", turn),
            ):
                changed = replace(scene, inputs=cameras)
                self.expect(
                    usual.warnings or not torch.equal(model.predict(changed).images, usual.images),
                    f"other views where photo {index} was taken {how}, or a warning that says why "
                    "not",
                    "the same views: the photo's own camera is not used",
                )

    def test_a_turned_target_sees_something_else(self) -> None:
        model: RegressionModel = self.make()
        scene = self.scene()
        turned = self._turned(scene, 15.0)
        self.expect(
            _least_error(model.predict(turned).images, model.predict(scene).images) > 1e-3,
            "another view from each target that is turned by 15 degrees",
            "the same view: its rotation is not used",
        )

    def test_opacity_is_certainty(self) -> None:
        model: RegressionModel = self.make()
        height, width = self.size
        more = self.scene(2, inputs=self.inputs + 1, size=(height, width + width // 2))
        for scene in (self.scene(), more):
            with self.or_refused(scene):
                self._certain(model, scene)

    def _certain(self, model: RegressionModel, scene: Scene) -> None:
        at_inputs = replace(scene, targets=scene.inputs, order=None)
        seen = model.predict(at_inputs).opacity
        if seen is None:
            raise NotApplicable("the model knows no opacity")
        try:
            unseen = model.predict(self._turned(at_inputs, 180.0)).opacity
        except InputError:  # to refuse a target that sees nothing is as good an answer
            return
        assert unseen is not None
        self.expect(
            float(seen.mean()) >= float(unseen.mean()) - 1e-3,
            "an input's own viewpoint at least as certain as one that looks away (1 = certain)",
            f"mean opacity {float(seen.mean()):.3f} against {float(unseen.mean()):.3f}",
        )

    def _turned(self, scene: Scene, degrees: float) -> Scene:
        poses = scene.targets.world_from_camera.clone()
        turn = yawed(torch.tensor([degrees]))[0].to(poses)
        poses[:, :3, :3] = poses[:, :3, :3] @ turn
        return replace(scene, targets=replace(scene.targets, world_from_camera=poses))

    def _close(self, came: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
        error = _mean_error(came, expected)
        self.expect(error <= tolerance, what, f"mean absolute difference {error:.4f}")


@torch.no_grad()
def _rendered(model: RegressionModel, scene: Scene) -> Tensor:
    return model.predict(scene).images


def _mean_error(came: Tensor, expected: Tensor) -> float:
    return float((came - expected).abs().mean())


def _least_error(came: Tensor, expected: Tensor) -> float:
    """Of the view that differs least."""
    return float((came - expected).abs().mean((1, 2, 3)).min())
