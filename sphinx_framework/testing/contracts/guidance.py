"""What the contract asks of a model that tells its guidance branches apart."""

from typing import Any

import torch
from torch import Tensor

from sphinx_framework.executors.latent_cache import LastBranch, LatentCache
from sphinx_framework.executors.passes import Call, frames_pass, full_pass, tiles_pass
from sphinx_framework.executors.tiles import TileSet, gather
from sphinx_framework.plugin import Capabilities
from sphinx_framework.testing.contracts.base import Contract, NotApplicable
from sphinx_framework.testing.oracle import RELATIVE_TOLERANCE, relative_error


class GuidanceChecks(Contract):
    """Checks of ``denoise_guided``; mixed into :class:`DiffusionContract`."""

    capabilities = Capabilities(frame_subset=True, block_sparse=True)
    tolerance: float = RELATIVE_TOLERANCE

    def test_one_branch_and_the_difference_are_as_good_as_both(self) -> None:
        model: Any = self.make()
        if not getattr(model, "guided", False):
            raise NotApplicable("tells no guidance branches apart")
        request = self.request(model)  # type: ignore[attr-defined]
        x, step, condition = request.x, request.step, request.condition
        asked = model, x, step, condition
        plain = full_pass(*asked).answer()
        both, difference = _guided(full_pass(*asked), None)
        self.expect(torch.equal(both, plain), "denoise_guided to predict as denoise does",
                    f"a relative error of {relative_error(both, plain):.2e}")  # fmt: skip
        self._compare("a full pass", _guided(full_pass(*asked), difference)[0], plain)
        cache = LatentCache()
        frames = torch.tensor([0, len(x) - 1] if len(x) > 2 else [len(x) - 1], device=x.device)
        for recorded in (None, difference):
            _guided(full_pass(*asked, cache=cache), recorded)
            if self.capabilities.frame_subset:
                read = LastBranch(cache, len(x)) if recorded is None else cache
                some = frames_pass(*asked, cache=read, frames=frames)
                self._compare("frames", _guided(some, difference)[0], plain[frames])
            if self.capabilities.block_sparse:
                _guided(full_pass(*asked, cache=cache, tiles=True), recorded)
                active = torch.zeros(
                    len(x), *(side // model.tile for side in x.shape[2:]), dtype=torch.bool
                )
                active[-1, 0, 0] = True
                tiles = TileSet.from_mask(active, x.device)
                read = LastBranch(cache, len(x)) if recorded is None else cache
                sparse = tiles_pass(*asked, cache=read, tiles=tiles)
                self._compare("tiles", _guided(sparse, difference)[0], gather(plain, tiles))

    def _compare(self, what: str, came: Tensor, wanted: Tensor) -> None:
        error = relative_error(came, wanted)
        self.expect(
            error <= self.tolerance,
            f"{what} of the conditional branch, given the difference of the same step, to equal "
            "both branches",
            f"relative error {error:.2e}",
        )


def _guided(call: Call, difference: Tensor | None) -> tuple[Tensor, Tensor]:
    call.guided = True
    call.kept = None if difference is None else call.executor.maps(difference)
    came = call.answer()
    assert call.difference is not None
    return came, call.difference
