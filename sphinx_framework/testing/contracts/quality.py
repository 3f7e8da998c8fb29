"""The contract of the no-reference score."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from sphinx_framework.engine.handed import evidence_tensors
from sphinx_framework.engine.scoring import photo_evidence, target_evidence
from sphinx_framework.protocols import LossEstimator, QualityEstimator, takes_evidence
from sphinx_framework.testing.contracts.base import NotApplicable
from sphinx_framework.testing.contracts.demands import Demands
from sphinx_framework.testing.oracle import relative_error
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import CoarseViews, Scene, ScoreEvidence

LOST_TOLERANCE = 0.01  # dB


class QualityContract(Demands):
    """The no-reference score; larger is better."""

    tolerance: float = 1e-3
    paragraph = "A quality estimator"

    def test_one_finite_positive_score_per_image(self) -> None:
        estimator: QualityEstimator = self.make()
        for scene in self.variations():
            with self.or_refused(scene):
                self._scores(estimator, scene.images)
        generator = torch.Generator().manual_seed(0)
        noise = torch.rand((2, 3, *self.size), generator=generator)
        self._scores(estimator, torch.cat([noise, noise.round()]).to(self.device))

    def test_flat_images_have_a_score_too(self) -> None:
        height, width = self.size
        estimator: QualityEstimator = self.make()
        for size in (self.size, (height, width + width // 2), (height + height // 2, width)):
            flat = torch.stack([torch.full((3, *size), value) for value in (0.0, 0.5, 1.0)])
            self._scores(estimator, flat.to(self.device))
            certain = torch.ones(3, *size, device=self.device)
            self.expect_shape(estimator.score(flat.to(self.device), certain), (3,), "score")

    def test_a_batch_scores_like_its_members(self) -> None:
        images = torch.cat([self.scene(seed).images for seed in range(3)])
        estimator: QualityEstimator = self.make()
        singles = torch.cat([estimator.score(image[None]) for image in images])
        error = relative_error(estimator.score(images), singles)
        self.expect(error < self.tolerance, "a score that depends on its image alone", error)

    def test_accepts_the_opacity_of_renders(self) -> None:
        scene = self.scene()
        coarse = self.coarse(scene)
        assert coarse.opacity is not None
        estimator: QualityEstimator = self.make()
        nothing = torch.zeros_like(coarse.opacity)
        for opacity in (coarse.opacity, nothing, nothing + 1):
            with self.leaves_alone(images=coarse.images, opacity=opacity):
                score = estimator.score(coarse.images, opacity)
            self.expect_shape(score, (self.targets,), "score")

    def test_evidence_may_lack_opacity_and_warps(self) -> None:
        estimator: QualityEstimator = self.make()
        if not takes_evidence(estimator):
            return
        scene, _, whole = self._known()
        bare = replace(whole, opacity=None, warps=None, inside=None)
        for evidence in (whole, bare, photo_evidence(scene)):
            score = estimator.score(evidence.renders, evidence=evidence)
            self.expect_shape(score, (len(evidence.renders),), "score")

    def test_evidence_belongs_to_its_own_image(self) -> None:
        estimator: QualityEstimator = self.make()
        if not takes_evidence(estimator):
            return
        _, coarse, evidence = self._known()
        together = estimator.score(coarse.images, evidence=evidence)
        singles = [
            estimator.score(coarse.images[[i]], evidence=evidence.rows([i]))
            for i in range(self.targets)
        ]
        error = relative_error(together, torch.cat(singles))
        self.expect(error < self.tolerance, "a score that depends on its image's evidence", error)

    def test_a_picture_just_like_its_render_scores_like_it(self) -> None:
        estimator: QualityEstimator = self.make()
        if not takes_evidence(estimator):
            return
        _, coarse, evidence = self._known()
        render = estimator.score(coarse.images, coarse.opacity, evidence=evidence)
        result = estimator.score(coarse.images.clone(), evidence=evidence)
        error = relative_error(result, render)
        self.expect(error < self.tolerance, "the render's score for the same picture", error)

    def _known(self) -> tuple[Scene, CoarseViews, ScoreEvidence]:
        """The contract's scene, its renders, and what is known of them."""
        scene = self.scene()
        coarse = self.coarse(scene)
        return scene, coarse, target_evidence(scene, coarse)

    def test_tells_what_each_frame_lost(self) -> None:
        estimator: QualityEstimator = self.make()
        if not isinstance(estimator, LossEstimator):
            raise NotApplicable("has no method lost(images, evidence)")
        _, coarse, evidence = self._known()
        images = 0.5 * coarse.images
        given = {"images": images, **evidence_tensors(evidence)}
        with self.leaves_alone(**given):
            lost = estimator.lost(images, evidence)
        self.expect_shape(lost, (self.targets,), "dB lost")
        bare = replace(evidence, opacity=None, warps=None, inside=None)
        self.expect_shape(estimator.lost(images, bare), (self.targets,), "dB lost, without warps")
        # Evidence of the whole request may be used (its other renders), the other images not.
        kept = torch.eye(self.targets, device=images.device)[:, :, None, None, None]
        alone = [estimator.lost(images * row, evidence)[[i]] for i, row in enumerate(kept)]
        off = float((lost - torch.cat(alone)).abs().max())
        self.expect(off < LOST_TOLERANCE, "what a frame lost from that frame alone", f"{off:.3g}")

    def test_a_ruined_photo_scores_lower(self) -> None:
        height, width = self.size
        photo = room_scene(2, (2 * height, 2 * width)).images[:1]
        photo = functional.interpolate(photo, self.size, mode="area").to(self.device)
        small = functional.interpolate(photo, (height // 8, width // 8), mode="area")
        blurred = functional.interpolate(small, self.size, mode="bilinear")
        faded = 0.5 + 0.15 * (blurred - blurred.mean())
        certain = torch.ones(2, *self.size, device=self.device)
        for opacity in (None, certain):
            better, worse = self.make().score(torch.cat([photo, faded]), opacity)
            self.expect(
                float(better) > float(worse),
                "a photo to score above itself blurred by 8 pixels and faded (larger is better)",
                f"{float(better):.4g} against {float(worse):.4g}",
            )

    def test_is_deterministic_and_leaves_the_images_alone(self) -> None:
        estimator: QualityEstimator = self.make()
        images = self.scene().images
        others = self.scene(1).images
        certain = torch.ones(len(images), *images.shape[-2:], device=self.device)
        for opacity in (None, certain):
            with self.leaves_alone(images=images):
                first = estimator.score(images, opacity)
                with self.stay("scores", first):
                    estimator.score(others)
                    estimator.score(others, 0.5 * certain)
                    second = estimator.score(images, opacity)
            self.expect(
                torch.equal(first, second),
                "equal scores of equal images, whatever was scored in between",
                "other scores",
            )

    def test_knows_images_by_what_they_show(self) -> None:
        estimator: QualityEstimator = self.make()
        images = self.scene().images.clone()
        other = 0.5 * images.flip(-1) + 0.2
        self.expect_by_content(lambda: estimator.score(images), images, other, "scores")

    def test_requests_in_threads_equal_those_alone(self) -> None:
        estimator: QualityEstimator = self.make()
        first, second = self.scene(0).images, self.scene(1).images
        self.expect_in_threads(
            [lambda: _score(estimator, first), lambda: _score(estimator, second)], "scores"
        )

    def _scores(self, estimator: QualityEstimator, images: Tensor) -> None:
        score = estimator.score(images)
        self.expect_shape(score, (len(images),), "score")
        self.expect(
            float(score.min()) > 0,
            "positive scores (the ratio of paper eq. 2 divides by them)",
            float(score.min()),
        )


@torch.no_grad()
def _score(estimator: QualityEstimator, images: Tensor) -> Tensor:
    return estimator.score(images)
