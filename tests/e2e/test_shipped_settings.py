"""The shipped pipelines of the first pair: the paper's settings, and ours."""

import pytest

from sphinx_framework.config import load_config
from sphinx_framework.policy.rules import load_rules
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework_seva.layouts import clip_layouts
from sphinx_framework_seva.model import OFFICIAL


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.from_entry_points()


def options(name: str, registry: Registry) -> dict:
    return load_config(name).validate_options(registry, name)


def test_the_papers_pipeline_has_the_papers_settings(registry) -> None:
    config = load_config("seva-mvsplat")
    assert (config.size, config.num_steps, config.gamma) == ((576, 576), 50, 0.5)
    assert (config.plan.refresh_every, config.plan.full_tail, config.plan.max_start) == (5, 10, 40)
    chosen = options("seva-mvsplat", registry)
    seva = chosen["diffusion"]
    assert (seva.weights, seva.weights_file) == ("official", None)
    assert OFFICIAL["official"].file == "modelv1.1.safetensors"
    assert (seva.cfg, seva.cfg_min, seva.guider, seva.camera_scale) == (2.0, 1.2, "multiview", 2.0)
    assert seva.solver == "euler"
    assert chosen["regression"].weights == "re10k"
    assert chosen["quality"].weights == "koniq10k"
    assert (chosen["mask"].union, chosen["mask"].opacity_only_clusters) == (True, (1,))
    rules = load_rules(chosen["steps"].rules).rules
    assert {table.quality for table in rules.tables} == {0.95, 0.98}
    assert rules.num_clusters == 3


def test_two_inputs_and_nineteen_targets_are_one_pass_with_the_inputs_at_its_ends(registry) -> None:
    seva = options("seva-mvsplat", registry)["diffusion"]
    (layout,) = clip_layouts(fake_scene(19, 2, (576, 576)), seva)
    assert len(layout) == 21
    assert [i for i, slot in enumerate(layout.slots) if slot.kind == "input"] == [0, 20]


def test_the_fast_pipeline_is_the_same_pair_with_other_settings(registry) -> None:
    paper, fast = load_config("seva-mvsplat"), load_config("seva-mvsplat-fast")
    assert fast.size == paper.size
    assert {r: c.use for r, c in fast.pipeline.items()} == {
        r: c.use for r, c in paper.pipeline.items()
    }
    seva = options("seva-mvsplat-fast", registry)["diffusion"]
    assert (seva.dtype, seva.channels_last) == ("bfloat16", True)
    assert fast.plan.full_tail == 0
    assert fast.plan.max_start is None
