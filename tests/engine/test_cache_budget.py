"""A cache budget is kept without a trial run of the live model."""

import pytest
import torch
from engines import CPU, FixedMask, FixedSteps, engine_with

from sphinx_framework.errors import MemoryBudgetError
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene

MASKS = FixedMask(*[(3, 9, 3, 9)] * 4)


class Counting(FakeDiffusion):
    """Counts its passes, all of them on real numbers."""

    def __init__(self) -> None:
        super().__init__(FakeConfig(), CPU)

    def denoise(self, x, step, condition, ops):
        assert type(x) is torch.Tensor
        return super().denoise(x, step, condition, ops)


class LazyTable(Counting):
    """Builds a table when it is first needed, from what it is given then."""

    def __init__(self) -> None:
        super().__init__()
        self.table = None

    def denoise(self, x, step, condition, ops):
        if self.table is None:
            self.table = condition.mean() + torch.linspace(0.5, 1, 8)[None, :, None, None]
        return super().denoise(x * self.table, step, condition, ops)


class LooksAtItsNumbers(Counting):
    """Branches on a value of its state."""

    def denoise(self, x, step, condition, ops):
        if float(x.abs().max()) > 3:
            return super().denoise(x / 2, step, condition, ops)
        return super().denoise(x, step, condition, ops)


def engine(model, budget_mb=None, mode="fine"):
    parts = {"steps": FixedSteps((20, 30, 40, 50)), "mask": MASKS, "diffusion": model}
    return engine_with(parts=parts, mode=mode, engine={"cache_budget_mb": budget_mb})


@pytest.mark.parametrize("model", [Counting, LazyTable, LooksAtItsNumbers])
@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_a_sufficient_budget_changes_nothing(model, mode):
    rich, free = engine(model(), 100, mode), engine(model(), mode=mode)
    scene = fake_scene()
    for seed in (0, 1):
        images = [made.render(scene, seed=seed).images for made in (rich, free)]
        assert torch.equal(*images)
    assert rich.caches.leased_bytes == 0


@pytest.mark.parametrize("model", [Counting, LazyTable, LooksAtItsNumbers])
@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_a_request_beyond_the_budget_ends_after_one_pass_and_the_next_before_any(model, mode):
    live = model()
    small = engine(live, 0.001, mode)
    whole = len(live.layouts(fake_scene())[0])
    with pytest.raises(MemoryBudgetError, match="cache_budget_mb") as first:
        small.render(fake_scene())
    assert [rows for _, rows in live.calls if rows == whole][1:] == []
    with pytest.raises(MemoryBudgetError) as second:
        small.render(fake_scene(seed=1))
    assert len(live.calls) == 1
    assert str(first.value) == str(second.value)
    assert small.caches.leased_bytes == 0


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_the_refusal_names_what_the_request_needs(mode):
    free = engine(Counting(), mode=mode).render(fake_scene())
    need = free.report.cache_bytes_peak
    exact = engine(Counting(), need / 1e6, mode)
    assert torch.equal(exact.render(fake_scene()).images, free.images)
    with pytest.raises(MemoryBudgetError, match=rf"needs {need / 1e6:.1f} MB"):
        engine(Counting(), (need - 1) / 1e6, mode).render(fake_scene())


def test_a_need_is_remembered_by_the_shape_of_the_clip():
    live = Counting()
    small = engine(live, 0.001)
    for size, calls in (((32, 32), 1), ((32, 32), 1), ((48, 32), 2), ((48, 32), 2)):
        with pytest.raises(MemoryBudgetError):
            small.render(fake_scene(size=size))
        assert len(live.calls) == calls


def test_tiles_need_a_larger_cache_than_frames():
    needs = [
        engine(Counting(), mode=mode).render(fake_scene()).report.cache_bytes_peak
        for mode in ("fine", "selective")
    ]
    assert needs[0] < needs[1]


@pytest.mark.parametrize("mode", ["coarse", "diffusion", "regression"])
def test_modes_without_a_cache_need_no_budget(mode):
    engine(Counting(), 0.001).render(fake_scene(), mode=mode)


def test_requests_at_the_same_time_share_the_budget():
    need = engine(Counting()).render(fake_scene()).report.cache_bytes_peak
    shared = engine(Counting(), 1.5 * need / 1e6)
    shared.render(fake_scene())
    first = shared.stream(fake_scene())
    while shared.caches.leased_bytes == 0:
        next(first)
    with pytest.raises(MemoryBudgetError, match=rf"only {need / 2e6:.1f} MB"):
        shared.render(fake_scene())
    first.close()
    shared.render(fake_scene())
