"""The memory of a request is known before anything is computed."""

import pytest
import torch
from engines import CPU, FixedMask, FixedSteps, engine_with

from sphinx_framework.engine.footprint import predicted_cache_bytes
from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.scheduler import answered
from sphinx_framework.errors import MemoryBudgetError
from sphinx_framework.policy.plan import PlanConfig, plan
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene

MASKS = FixedMask(*[(3, 9, 3, 9)] * 4)


class Counting(FakeDiffusion):
    """Remembers whether its calls computed anything or were about shapes only."""

    def __init__(self) -> None:
        super().__init__(FakeConfig(), CPU)
        self.computed = 0

    def denoise(self, x, step, condition, ops):
        self.computed += type(x) is torch.Tensor
        return super().denoise(x, step, condition, ops)


def engine(model, budget_mb=None, mode="fine"):
    parts = {"steps": FixedSteps((20, 30, 40, 50)), "mask": MASKS, "diffusion": model}
    return engine_with(parts=parts, mode=mode, engine={"cache_budget_mb": budget_mb})


@pytest.mark.parametrize("mode", ["fine", "selective"])
@pytest.mark.parametrize("size", [(8, 8), (6, 10)])
def test_predicted_bytes_are_exactly_the_recorded_ones(mode, size):
    model = Counting()
    clean = torch.zeros(4, 8, *size)
    condition = torch.zeros(4, 1, *size)
    region = torch.zeros(4, size[0] // 2, size[1] // 2, dtype=torch.bool)
    region[1, 0, 0] = True
    schedule = plan(mode, [None, 3, 6, 10], 10, PlanConfig(), region)

    predicted = predicted_cache_bytes(model, clean, condition, schedule)
    assert model.computed == 0
    loop = Refinement(
        model=model,
        schedule=schedule,
        sampler=model.sampler(10),
        clean=clean,
        noise=torch.ones_like(clean),
        condition=condition,
        draw=torch.zeros_like,
    )
    for _ in answered(loop.run()):
        pass

    assert predicted == loop.cache.bytes_peak > 0


def test_tiles_need_a_larger_cache_than_frames():
    model, clean, condition = Counting(), torch.zeros(4, 8, 8, 8), torch.zeros(4, 1, 8, 8)
    region = torch.zeros(4, 4, 4, dtype=torch.bool)
    region[1, 0, 0] = True
    needs = [
        predicted_cache_bytes(
            model, clean, condition, plan(mode, [3, 6, 10, 10], 10, PlanConfig(), region)
        )
        for mode in ("fine", "selective")
    ]
    assert needs[0] < needs[1]


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_a_request_beyond_the_budget_fails_before_any_step_is_computed(mode):
    model = Counting()
    with pytest.raises(MemoryBudgetError, match="cache_budget_mb"):
        engine(model, 0.001).render(fake_scene(), mode=mode)
    assert model.computed == 0


def test_a_sufficient_budget_changes_nothing():
    rich, free = engine(Counting(), 100), engine(Counting())
    scene = fake_scene()
    assert torch.equal(rich.render(scene).images, free.render(scene).images)
    assert rich.caches.leased_bytes == 0


def test_a_budget_of_exactly_the_need_suffices():
    need = engine(Counting()).render(fake_scene()).report.cache_bytes_peak
    engine(Counting(), need / 1e6).render(fake_scene())
    with pytest.raises(MemoryBudgetError):
        engine(Counting(), (need - 1) / 1e6).render(fake_scene())


@pytest.mark.parametrize("mode", ["coarse", "diffusion", "regression"])
def test_modes_without_a_cache_need_no_budget(mode):
    engine(Counting(), 0.001).render(fake_scene(), mode=mode)
