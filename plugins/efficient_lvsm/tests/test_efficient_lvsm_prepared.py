"""What an engine keeps of a scene: another photo or target costs that one alone."""

from dataclasses import replace

import pytest
import torch

from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine
from sphinx_framework.types import Scene
from sphinx_framework_efficient_lvsm.config import EfficientLVSMConfig
from sphinx_framework_efficient_lvsm.model import EfficientLVSM

SIZE = (32, 32)


def engine_with(model: EfficientLVSM) -> Engine:
    engine = fake_engine()
    components = replace(engine.components, regression=model)
    return Engine(components, engine.config, engine.device)


def counted(model: EfficientLVSM, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    calls = {"encode": 0, "render": 0}

    def counting(name: str):
        whole = getattr(model.network, name)

        def call(*given, **named):
            calls[name] += 1
            return whole(*given, **named)

        return call

    for name in calls:
        monkeypatch.setattr(model.network, name, counting(name))
    return calls


def fewer(scene: Scene, photos: int, targets: int) -> Scene:
    order = scene.order
    assert order is not None
    count = len(scene.inputs)
    return replace(
        scene,
        images=scene.images[:photos],
        inputs=scene.inputs[:photos],
        targets=scene.targets[:targets],
        order=(*order[:photos], *order[count : count + targets]),
    )


def test_a_target_or_a_photo_more_costs_that_one_and_gives_the_same_bytes(
    tiny_config: EfficientLVSMConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = EfficientLVSM(tiny_config, torch.device("cpu"))
    engine, scene = engine_with(model), fake_scene(targets=3, inputs=3, size=SIZE)
    calls = counted(model, monkeypatch)
    first = engine.prepare(fewer(scene, 2, 2))
    assert calls == {"encode": 2, "render": 2}
    more_targets = engine.prepare(fewer(scene, 2, 3), memory=first.memory)
    assert calls == {"encode": 2, "render": 3}
    more_photos = engine.prepare(scene, memory=first.memory)
    assert calls == {"encode": 3, "render": 6}
    for kept, asked in ((more_targets, fewer(scene, 2, 3)), (more_photos, scene)):
        anew = engine_with(EfficientLVSM(tiny_config, torch.device("cpu"))).prepare(asked)
        assert torch.equal(kept.coarse.images, anew.coarse.images)


def test_another_scene_has_a_memory_of_its_own(tiny_config: EfficientLVSMConfig) -> None:
    engine = engine_with(EfficientLVSM(tiny_config, torch.device("cpu")))
    first, second = (engine.prepare(fake_scene(size=SIZE, seed=seed)) for seed in (0, 1))
    assert first.memory is not second.memory
    assert len(first.memory) == len(second.memory) > 0


def test_a_stage_without_memory_says_so() -> None:
    engine = fake_engine()
    assert engine.prepare(fake_scene()).memory is None
    with pytest.raises(ConfigError, match="keeps none"):
        engine.prepare(fake_scene(), memory=object())
