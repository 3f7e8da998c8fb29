"""Several requests in one run of the network: each close to what it is alone."""

import pytest
import torch

from sphinx_framework import Engine, load_scene
from sphinx_framework.engine.events import Finished
from sphinx_framework.engine.scheduler import Scheduler
from sphinx_framework.engine.together import answered_together

ASKED = [
    ("procedural:demo", {"mode": "fine", "quality": 0.95, "seed": 4}),
    ("procedural:report/12", {"mode": "selective", "quality": 1.0, "seed": 9}),
    ("procedural:demo", {"mode": "diffusion", "seed": 1}),
]
CONFIG = ("num_steps=6", "plan.max_steps=6", "engine.threads=1", "evidence.min_opacity=0.0")


@pytest.fixture(scope="module")
def engine():
    return Engine.from_config("lite", device="cpu", overrides=CONFIG)


@pytest.fixture(scope="module")
def scenes(engine):
    size = engine.config.size
    return [load_scene(name, targets="interpolate:2", size=size) for name, _ in ASKED]


def rendered(engine, scenes, keys, together):
    scheduler, found = Scheduler(together), {}
    for key in keys:
        scheduler.submit(key, engine.road(scenes[key], **ASKED[key][1]))
    for key, said in scheduler.run():
        if isinstance(said, Finished):
            found[key] = said.result.images
    return found


def shared(calls):
    return answered_together(calls)[0]


def test_rows_of_several_requests_at_different_steps_share_runs_within_a_255th(engine, scenes):
    counted = []

    def together(calls):
        answers, counts = answered_together(calls)
        counted.extend(counts)
        return answers

    alone = {key: rendered(engine, scenes, [key], None)[key] for key in range(3)}
    found = rendered(engine, scenes, range(3), together)
    assert max(requests for requests, _ in counted) >= 2, "runs were shared"
    assert sorted(found) == [0, 1, 2]
    for key, images in found.items():
        assert float((images - alone[key]).abs().max()) <= 1 / 255


def test_one_request_in_a_batch_has_the_bytes_of_render(engine, scenes):
    images = rendered(engine, scenes, [2], shared)[2]
    assert torch.equal(images, engine.render(scenes[2], **ASKED[2][1]).images)


def test_where_a_shared_run_fails_each_request_is_answered_alone(engine, scenes, monkeypatch):
    def broken(*given):
        raise RuntimeError("no room for so many rows")

    alone = rendered(engine, scenes, [1, 2], None)
    monkeypatch.setattr(type(engine.components.diffusion), "denoise_many", broken)
    found = rendered(engine, scenes, [1, 2], shared)
    assert sorted(found) == [1, 2]
    assert all(torch.equal(found[key], alone[key]) for key in found), "answered alone, after all"
