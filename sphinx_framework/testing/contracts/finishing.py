"""What the contract asks of a model that makes served frames of refined ones and evidence."""

import torch
from torch import Tensor

from sphinx_framework.engine.scoring import target_evidence
from sphinx_framework.protocols import FinishingModel
from sphinx_framework.testing.contracts.base import Contract, NotApplicable
from sphinx_framework.types import ScoreEvidence

ROUNDING = 1e-3  # between a frame alone and among others; of colours in [0, 1]


class FinishingChecks(Contract):
    """Checks of ``finish``; mixed into :class:`DiffusionContract`."""

    def test_finished_frames_are_pictures_each_for_itself(self) -> None:
        model = self.make()
        if not isinstance(model, FinishingModel):
            raise NotApplicable("finishes no frames")
        refined, evidence = self._frames()
        bare = ScoreEvidence(inputs=evidence.inputs, renders=evidence.renders)
        for known in (evidence, bare):
            finished = model.finish(refined, known)
            self.expect_shape(finished, tuple(refined.shape), "finished frames")
            low, high = float(finished.min()), float(finished.max())
            self.expect(low >= 0 and high <= 1, "finished frames in [0, 1]", (low, high))
            again = model.finish(refined, known)
            self.expect(torch.equal(finished, again), "the same finished frames again", "others")
            alone = model.finish(refined[1:2], known.rows([1]))
            apart = float((alone[0] - finished[1]).abs().max())
            self.expect(
                apart <= ROUNDING,
                "each frame finished for itself, whatever others there are",
                f"a difference of {apart:.2g} among others",
            )

    def _frames(self) -> tuple[Tensor, ScoreEvidence]:
        """Refined frames, and evidence whose renders differ from them."""
        scene = self.scene()
        coarse = self.coarse(scene)
        renders = coarse.images
        refined = (0.8 * renders + 0.2 * renders.flip(-1)).clamp(0, 1)
        return refined, target_evidence(scene, coarse)
