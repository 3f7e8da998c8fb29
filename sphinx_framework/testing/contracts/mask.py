"""The contract of mask policies."""

from dataclasses import replace

import torch

from sphinx_framework.protocols import MaskPolicy
from sphinx_framework.testing.contracts.base import Contract, coarse_tensors, scene_tensors


class MaskContract(Contract):
    """Where to refine; True marks."""

    paragraph = "A mask policy"

    def test_marks_pixels_of_every_target(self) -> None:
        policy: MaskPolicy = self.make()
        for scene in self.variations():
            size = tuple(scene.images.shape[-2:])
            for cluster in (None, 0, 1):
                mask = policy.mask(self.coarse(scene), scene, cluster)
                self.expect_tensor(mask.to(self.device), "a mask")
                self.expect(mask.dtype == torch.bool, "a mask of bool", mask.dtype)
                shape = (len(scene.targets), *size)
                self.expect(tuple(mask.shape) == shape, f"shape {shape}", tuple(mask.shape))

    def test_answers_where_no_opacity_is_known(self) -> None:
        policy: MaskPolicy = self.make()
        for scene in self.variations():
            mask = policy.mask(self.coarse(scene, opacity=False), scene, None)
            shape = (len(scene.targets), *scene.images.shape[-2:])
            self.expect(tuple(mask.shape) == shape, f"shape {shape}", tuple(mask.shape))

    def test_uncertain_pixels_are_marked_first(self) -> None:
        scene = self.scene()
        coarse = self.coarse(scene)
        assert coarse.opacity is not None
        mask = self.make().mask(coarse, scene, None).to(self.device).float()
        hole = coarse.opacity < 0.5
        inside, outside = float(mask[hole].mean()), float(mask[~hole].mean())
        self.expect(
            inside >= outside,
            "pixels of low opacity marked at least as often as certain ones (opacity 1 = certain)",
            f"{inside:.2f} of the hole, {outside:.2f} elsewhere",
        )

    def test_is_deterministic_and_leaves_the_views_alone(self) -> None:
        scene = self.scene()
        coarse = self.coarse(scene)
        policy: MaskPolicy = self.make()
        with self.leaves_alone(**scene_tensors(scene), **coarse_tensors(coarse)):
            first = policy.mask(coarse, scene, None).clone()
            again = policy.mask(coarse, scene, None).clone()
            other = self.scene(1)
            darker = replace(self.coarse(other, opacity=False), images=0.5 * other.images[:1])
            policy.mask(replace(darker, images=darker.images.expand(self.targets, -1, -1, -1)),
                        other, None)  # fmt: skip
            second = policy.mask(coarse, scene, None)
        self.expect(
            torch.equal(first, again) and torch.equal(first, second),
            "equal masks of equal views, whatever came in between",
            "another mask",
        )
