"""Several requests in turn, one call of the network each: the bytes are those of each alone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from engines import CPU, FixedMask, FixedSteps, engine_with

from sphinx_framework.engine.events import CoarseReady, Finished, StepDone
from sphinx_framework.engine.scheduler import Failed, Scheduler
from sphinx_framework.executors.passes import Call
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion, fake_scene

ASKED = [
    {"mode": "fine", "seed": 4},
    {"mode": "selective", "seed": 9},
    {"mode": "diffusion", "seed": 1},
]


def engine(**config):
    parts = {
        "steps": FixedSteps((4, 10, 20, 16)),
        "mask": FixedMask((3, 9, 3, 9), (20, 28, 2, 30), (1, 2, 1, 2), (15, 16, 15, 16)),
        "diffusion": FakeDiffusion(FakeConfig(solver="dpmpp_2m"), CPU),
    }
    return engine_with(parts=parts, num_steps=20, **config)


def scheduled(shared, scenes):
    scheduler = Scheduler()
    for key, (scene, asked) in enumerate(zip(scenes, ASKED, strict=True)):
        scheduler.submit(key, shared.road(scene, **asked))
    return scheduler


@pytest.fixture
def scenes():
    return [fake_scene(seed=seed) for seed in (1, 2, 3)]


@pytest.fixture
def alone(scenes):
    one = engine()
    return [one.render(scene, **asked).images for scene, asked in zip(scenes, ASKED, strict=True)]


def test_scheduled_requests_have_the_bytes_of_each_alone_and_take_turns(scenes, alone):
    results, order = {}, []
    for key, event in scheduled(engine(), scenes).run():
        if isinstance(event, StepDone):
            order.append(key)
        if isinstance(event, Finished):
            results[key] = event.result.images
    assert sorted(results) == [0, 1, 2]
    for key, images in results.items():
        assert torch.equal(images, alone[key])
    assert order[:6] == [0, 1, 2, 0, 1, 2]


def test_a_request_is_cancelled_between_two_calls_and_the_others_go_on(scenes, alone):
    shared = engine(engine={"cache_budget_mb": 50})
    scheduler = scheduled(shared, scenes)
    results = {}
    for key, event in scheduler.run():
        if key == 1 and isinstance(event, StepDone) and event.done == 3:
            scheduler.cancel(1)
        if isinstance(event, Finished):
            results[key] = event.result.images
    assert sorted(results) == [0, 2]
    assert all(torch.equal(images, alone[key]) for key, images in results.items())
    assert shared.caches.leased_bytes == 0


def test_a_request_that_fails_does_not_end_the_others(scenes, alone):
    class Sick(FakeDiffusion):
        def denoise(self, x, step, condition, ops):
            raise torch.OutOfMemoryError("CUDA out of memory")

    shared, sick = engine(), engine()
    sick.components = replace(sick.components, diffusion=Sick(FakeConfig(), CPU))
    scheduler = Scheduler()
    scheduler.submit("sick", sick.road(scenes[0], **ASKED[0]))
    scheduler.submit("well", shared.road(scenes[0], **ASKED[0]))
    ended = {}
    for key, event in scheduler.run():
        if isinstance(event, Failed | Finished):
            ended[key] = event
    assert ended["sick"].error.kind == "out-of-memory"
    assert torch.equal(ended["well"].result.images, alone[0])


def test_a_request_joins_while_another_runs(scenes, alone):
    shared, scheduler = engine(), Scheduler()
    scheduler.submit("first", shared.road(scenes[0], **ASKED[0]))
    results = {}
    for key, event in scheduler.run():
        if key == "first" and isinstance(event, StepDone) and event.done == 2:
            scheduler.submit("second", shared.road(scenes[1], **ASKED[1]))
        if isinstance(event, Finished):
            results[key] = event.result.images
    assert torch.equal(results["first"], alone[0])
    assert torch.equal(results["second"], alone[1])


def test_a_name_is_used_by_one_running_request(scenes):
    scheduler, shared = Scheduler(), engine()
    scheduler.submit(1, shared.road(scenes[0]))
    with pytest.raises(ValueError, match="already running"):
        scheduler.submit(1, shared.road(scenes[0]))
    scheduler.cancel(1)
    scheduler.cancel(1)
    assert list(scheduler.run()) == []


def test_a_road_asks_for_calls_and_goes_on_with_their_predictions(scenes, alone):
    road, answer, calls = engine().road(scenes[0], **ASKED[0]), None, []
    kinds = []
    while True:
        said = road.send(answer)
        answer = None
        kinds.append(type(said))
        if isinstance(said, Call):
            calls.append((said.step, len(said.x)))
            answer = said.answer()
        if isinstance(said, Finished):
            break
    assert calls[0] == (4, 6)
    assert kinds.index(CoarseReady) < kinds.index(Call)
    assert torch.equal(said.result.images, alone[0])


def test_two_requests_in_threads_on_one_engine_are_bit_equal_to_sequential_ones(scenes, alone):
    shared = engine()
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(shared.render, scene, **asked)
            for scene, asked in zip(scenes[:2], ASKED[:2], strict=True)
        ]
        together = [job.result().images for job in jobs]
    assert all(torch.equal(a, b) for a, b in zip(together, alone[:2], strict=True))
