"""The contract of mask policies."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.protocols import MaskPolicy
from sphinx_framework.testing.contracts.base import coarse_tensors, scene_tensors
from sphinx_framework.testing.contracts.demands import Demands
from sphinx_framework.types import Scene

CLUSTERS = (None, 0, 1, 7)


class MaskContract(Demands):
    """Where to refine; True marks."""

    paragraph = "A mask policy"

    def test_marks_pixels_of_every_target(self) -> None:
        policy: MaskPolicy = self.make()
        for scene in self.variations():
            with self.or_refused(scene):
                for cluster in CLUSTERS:
                    self._masks(policy.mask(self.coarse(scene), scene, cluster), scene)

    def _masks(self, mask: Any, scene: Scene) -> None:
        self.expect(isinstance(mask, Tensor), "a mask as a tensor", type(mask).__name__)
        self.expect_tensor(mask.to(self.device), "a mask")
        self.expect(mask.dtype == torch.bool, "a mask of bool", mask.dtype)
        shape = (len(scene.targets), *scene.images.shape[-2:])
        self.expect(tuple(mask.shape) == shape, f"shape {shape}", tuple(mask.shape))

    def test_answers_where_no_opacity_is_known(self) -> None:
        policy: MaskPolicy = self.make()
        for scene in self.variations():
            with self.or_refused(scene):
                self._masks(policy.mask(self.coarse(scene, opacity=False), scene, None), scene)

    def test_uncertain_pixels_are_marked_first(self) -> None:
        scene = self.scene()
        coarse = self.coarse(scene)
        assert coarse.opacity is not None
        hole = coarse.opacity < 0.5
        for cluster in CLUSTERS:
            mask = self.make().mask(coarse, scene, cluster).to(self.device).float()
            inside, outside = float(mask[hole].mean()), float(mask[~hole].mean())
            self.expect(
                inside >= outside,
                "pixels of low opacity marked at least as often as certain ones (opacity 1 = "
                f"certain) in cluster {cluster}",
                f"{inside:.2f} of the hole, {outside:.2f} elsewhere",
            )

    def test_permuting_targets_permutes_masks(self) -> None:
        policy: MaskPolicy = self.make()
        scene = replace(self.scene(targets=self.targets + 2), order=None)
        coarse = self.coarse(scene)
        assert coarse.opacity is not None
        order = list(reversed(range(len(scene.targets))))
        turned = replace(coarse, images=coarse.images[order], opacity=coarse.opacity[order])
        expected = policy.mask(coarse, scene, None)[order]
        came = policy.mask(turned, replace(scene, targets=scene.targets[order]), None)
        self.expect(
            torch.equal(came, expected), "masks that follow their views", "masks by position"
        )

    def test_is_deterministic_and_leaves_the_views_alone(self) -> None:
        scene = self.scene()
        coarse = self.coarse(scene)
        policy: MaskPolicy = self.make()
        with self.leaves_alone(**scene_tensors(scene), **coarse_tensors(coarse)):
            first = policy.mask(coarse, scene, None)
            again = policy.mask(coarse, scene, None).clone()
            other = self.scene(1)
            darker = replace(self.coarse(other, opacity=False), images=0.5 * other.images[:1])
            darker = replace(darker, images=darker.images.repeat(self.targets, 1, 1, 1))
            with self.stay("masks", first):
                policy.mask(darker, other, None)
            second = policy.mask(coarse, scene, None)
            in_clusters = [policy.mask(coarse, scene, cluster).clone() for cluster in CLUSTERS]
            for cluster in CLUSTERS:
                policy.mask(darker, other, cluster)
            later = [policy.mask(coarse, scene, cluster) for cluster in CLUSTERS]
        self.expect(
            torch.equal(first, again)
            and torch.equal(first, second)
            and all(map(torch.equal, in_clusters, later)),
            "equal masks of equal views, whatever came in between",
            "another mask",
        )

    def test_knows_views_by_what_they_show(self) -> None:
        policy: MaskPolicy = self.make()
        scene = self.scene()
        views = self.coarse(scene)
        assert views.opacity is not None
        coarse = replace(views, images=views.images.clone(), opacity=views.opacity.clone())
        assert coarse.opacity is not None
        policy.mask(coarse, scene, None)
        coarse.images.copy_(1 - coarse.images.flip(-1))
        coarse.opacity.copy_(coarse.opacity.flip(-1))
        came = policy.mask(coarse, scene, None)
        elsewhere = replace(coarse, images=coarse.images.clone(), opacity=coarse.opacity.clone())
        self.expect(
            torch.equal(came, policy.mask(elsewhere, scene, None)),
            "masks of what the memory of the views holds now",
            "masks of what it held before (a store is keyed by content, not by address)",
        )

    def test_requests_in_threads_equal_those_alone(self) -> None:
        policy: MaskPolicy = self.make()
        scenes = [self.scene(0), self.scene(1)]
        whole, holed = self.coarse(scenes[0], opacity=False), self.coarse(scenes[1])
        self.expect_in_threads(
            [
                lambda: policy.mask(whole, scenes[0], None),
                lambda: policy.mask(holed, scenes[1], None),
            ],
            "masks",
        )
