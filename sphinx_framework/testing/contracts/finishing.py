"""What the contract asks of a model that makes served frames of refined ones and renders."""

import torch
from torch import Tensor

from sphinx_framework.protocols import FinishingModel
from sphinx_framework.testing.contracts.base import Contract, NotApplicable

ROUNDING = 1e-3  # between a frame alone and among others; of colours in [0, 1]


class FinishingChecks(Contract):
    """Checks of ``finish``; mixed into :class:`DiffusionContract`."""

    def test_finished_frames_are_pictures_each_for_itself(self) -> None:
        model = self.make()
        if not isinstance(model, FinishingModel):
            raise NotApplicable("finishes no frames")
        refined, renders, opacity = self._frames()
        for known in (opacity, None):
            finished = model.finish(refined, renders, known)
            self.expect_shape(finished, tuple(refined.shape), "finished frames")
            low, high = float(finished.min()), float(finished.max())
            self.expect(low >= 0 and high <= 1, "finished frames in [0, 1]", (low, high))
            again = model.finish(refined, renders, known)
            self.expect(torch.equal(finished, again), "the same finished frames again", "others")
            alone = model.finish(refined[1:2], renders[1:2], None if known is None else known[1:2])
            apart = float((alone[0] - finished[1]).abs().max())
            self.expect(
                apart <= ROUNDING,
                "each frame finished for itself, whatever others there are",
                f"a difference of {apart:.2g} among others",
            )

    def _frames(self) -> tuple[Tensor, Tensor, Tensor]:
        """Refined frames, renders that differ from them, and an opacity with a hole."""
        scene = self.scene()
        coarse = self.coarse(scene)
        renders = coarse.images
        refined = (0.8 * renders + 0.2 * renders.flip(-1)).clamp(0, 1)
        assert coarse.opacity is not None
        return refined, renders, coarse.opacity
