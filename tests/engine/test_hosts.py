"""What a program that embeds the engine may rely on."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import torch
from engines import fixed_engine

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.events import Finished, FrameFinal
from sphinx_framework.engine.scheduler import Scheduler
from sphinx_framework.engine.stream import copied
from sphinx_framework.errors import ConfigError, JobError, SceneError
from sphinx_framework.registry import Registry
from sphinx_framework.request import RenderRequest
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_config, fake_engine, fake_specs

STEPS = (50, 20, 34, 50)


def tensors_of(value):
    """Every tensor in a value of the road."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from tensors_of(entry)
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors_of(getattr(value, field.name))


def overwrite(value):
    for tensor in tensors_of(value):
        tensor.fill_(1)


def built(config, **more):
    return Engine.from_config(
        config, device="cpu", registry=Registry.from_specs(fake_specs()), **more
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"near": "x", "far": 2}, "near must be a number"),
        ({"near": [1, 2], "far": 2}, "near must be a number"),
        ({"near": 1, "far": True}, "far must be a number"),
        ({"origin": (1, 2)}, "origin must be three"),
        ({"origin": (0, 0, float("nan"))}, "origin must be three"),
        ({"warnings": "one text"}, "warnings must be a list"),
    ],
)
def test_a_scene_says_in_one_sentence_what_it_refuses(given, says):
    with pytest.raises(SceneError, match=says):
        replace(fake_scene(), **given)


def test_numbers_of_numpy_and_torch_are_numbers():
    scene = replace(fake_scene(), near=np.float32(1), far=torch.tensor(4.0), origin=np.zeros(3))
    assert (scene.near, scene.far, scene.origin) == (1.0, 4.0, (0.0, 0.0, 0.0))
    assert RenderRequest.asked(seed=np.int64(3)).seed == 3


@pytest.mark.parametrize("overrides", ["plan.stride=2", {"plan.stride": 2}, [2]])
def test_overrides_of_another_kind_are_refused(overrides):
    for config in (fake_config(), "lite"):
        with pytest.raises(ConfigError, match="a list of texts"):
            built(config, overrides=overrides)


@pytest.mark.parametrize("call", ["render", "stream", "prepare", "plan"])
@pytest.mark.parametrize(
    ("scene", "wishes", "error"),
    [
        ("scene", {}, SceneError),
        (replace(fake_scene(), images=torch.full((2, 3, 32, 32), 7.0)), {}, SceneError),
        (fake_scene(), {"quality": 7}, ConfigError),
        (fake_scene(), {"mode": "fast"}, ConfigError),
        (fake_scene(size=(31, 32)), {}, ConfigError),
    ],
)
def test_everything_is_checked_at_the_call(call, scene, wishes, error):
    with pytest.raises(error):
        getattr(fixed_engine(STEPS), call)(scene, **wishes)


def test_an_unknown_meter_is_refused_at_the_call():
    engine = built(fake_config())
    engine.config = engine.config.model_copy(
        update={"engine": engine.config.engine.model_copy(update={"energy": "sun"})}
    )
    with pytest.raises(ConfigError, match="sun"):
        engine.stream(fake_scene())


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_size_and_fit_of_a_config_act_on_a_scene_from_python(fit):
    from sphinx_framework.geometry.resize import fit_scene

    scene = fake_scene(size=(40, 64))
    config = fake_config(size=(32, 32), fit=fit)
    result = built(config).render(scene, mode="fine")
    assert result.images.shape[-2:] == (32, 32)
    fitted = built(fake_config()).render(fit_scene(scene, (32, 32), fit), mode="fine")
    assert torch.equal(result.images, fitted.images)


def test_overrides_of_a_config_value_are_not_dropped():
    engine = built(fake_config(), overrides=["quality=0.5", "mask.seed=4", "engine.retry=true"])
    assert engine.config.quality == 0.5
    assert engine.config.engine.retry
    assert engine.config.pipeline["mask"].options == {"seed": 4}
    with pytest.raises(ConfigError, match="unknown key 'qualty'"):
        built(fake_config(), overrides=["qualty=0.5"])


def test_no_event_shares_memory_with_the_request():
    undisturbed = fixed_engine(STEPS).render(fake_scene(), mode="selective")
    result = None
    for event in fixed_engine(STEPS).stream(fake_scene(), mode="selective"):
        if isinstance(event, Finished):
            result = event.result
        else:
            overwrite(event)
    assert result is not None
    for ours, theirs in zip(tensors_of(result), tensors_of(undisturbed), strict=True):
        assert torch.equal(ours, theirs)
    assert result.report.schedule == undisturbed.report.schedule


def test_the_scene_belongs_to_the_caller_who_may_write_into_it_at_once():
    undisturbed = fixed_engine(STEPS).render(fake_scene(), mode="fine")
    scene = copied(fake_scene())
    stream = fixed_engine(STEPS).stream(scene, mode="fine")
    overwrite(scene)
    assert torch.equal(stream.result().images, undisturbed.images)


def test_a_result_of_a_prepared_scene_may_be_written_into():
    engine = fixed_engine(STEPS)
    prepared = engine.prepare(fake_scene(), mode="selective")
    first = engine.render(prepared, seed=3)
    kept = copied(first.images)
    overwrite((first.images, first.coarse, first.mask, first.scene, first.schedules))
    assert torch.equal(engine.render(prepared, seed=3).images, kept)


def test_a_stream_is_closed_at_the_end_of_its_block_and_any_number_of_times():
    engine = fixed_engine(STEPS, engine={"cache_budget_mb": 50})
    with engine.stream(fake_scene(), mode="fine") as stream:
        for event in stream:
            if isinstance(event, FrameFinal):
                break
    stream.close()
    assert engine.caches.leased_bytes == 0
    with pytest.raises(JobError, match="was closed"):
        stream.result()


QUIET = """
import logging, warnings
import structlog
before = (logging.getLogger().handlers[:], logging.getLogger().level, warnings.filters[:])
from sphinx_framework.plugin import Capabilities
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine
fake_engine(Capabilities()).render(fake_scene(), mode="fine", quality=0.95)  # warns
assert not structlog.is_configured()
assert (logging.getLogger().handlers, logging.getLogger().level) == before[:2]
"""


def test_neither_an_engine_nor_its_warnings_configure_the_logs_of_the_process():
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True)
    assert "the model has no frame subsets" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_requests_in_threads_on_one_engine_are_bit_equal_to_sequential_ones(mode):
    scenes = [fake_scene(seed=seed) for seed in range(4)]
    alone = [fake_engine().render(scene, mode=mode, seed=7).images for scene in scenes]
    shared = fake_engine()
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(lambda s: shared.render(s, mode=mode, seed=7), [*scenes, *scenes, *scenes])
        )
    for index, result in enumerate(results):
        assert torch.equal(result.images, alone[index % len(scenes)])


@pytest.mark.parametrize("mode", ["regression", "fine"])
def test_a_hosts_autocast_changes_no_bytes_and_stays_on(mode):
    engine = fixed_engine(STEPS)
    plain = engine.render(fake_scene(), mode=mode).images
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole = engine.render(fake_scene(), mode=mode).images
        again = engine.render(engine.prepare(fake_scene(), mode=mode)).images
        scheduler = Scheduler()
        scheduler.submit(1, engine.road(fake_scene(), mode=mode))
        events = [event for _, event in scheduler.run()]
        assert torch.is_autocast_enabled("cpu")
    for images in (whole, again, events[-1].result.images):
        assert torch.equal(images, plain)


def test_a_hosts_default_type_is_named_and_no_component_is_blamed():
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(ConfigError, match=r"torch's default type is torch.float64"):
            fixed_engine(STEPS).render(fake_scene())
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_another_engine_prepared_is_refused():
    cost = {"full": 0.001, "measured": "a machine", "num_frames": 6}
    first, second = (built(fake_config(cost=cost, num_steps=steps)) for steps in (50, 20))
    prepared = first.prepare(fake_scene(), budget_ms=1e6)
    assert torch.isfinite(first.render(prepared).images).all()
    with pytest.raises(ConfigError, match="prepared by an engine of another config"):
        second.render(prepared)


def test_an_engine_is_neither_pickled_nor_copied():
    import copy
    import pickle

    for take in (copy.deepcopy, copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match=r"make another by Engine\.from_config"):
            take(fake_engine())


@pytest.mark.parametrize("name", ["coarse", "report", "hear"])
def test_what_cannot_be_reused_is_refused_in_a_sentence(name):
    with pytest.raises(ConfigError, match=f"{name} must be"):
        fake_engine().prepare(fake_scene(), **{name: 3})


def test_values_that_hold_tensors_are_equal_to_themselves_alone():
    scene = fake_scene()
    result = fake_engine().render(scene)
    for value in (scene, scene.inputs, result, result.coarse):
        assert value == value
        assert value != copied(value)
        assert value in [value]
        assert isinstance(hash(value), int)


def test_a_default_device_of_the_hosts_own_changes_nothing():
    expected = fake_engine().render(fake_scene()).images
    engine, scene = fake_engine(), fake_scene()
    torch.set_default_device("meta")
    try:
        scene.validate()
        found = engine.render(scene).images
    finally:
        torch.set_default_device(None)
    assert torch.equal(found, expected)


def test_an_estimator_without_a_score_is_named():
    class Nothing:
        pass

    engine = Engine(
        replace(fake_engine().components, quality=Nothing()), fake_config(), fake_engine().device
    )
    with pytest.raises(JobError, match=r"quality 'fake'.* raised AttributeError"):
        engine.render(fake_scene(), mode="fine")
