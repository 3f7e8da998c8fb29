"""Building a pipeline's components, devices and licences."""

import os

import pytest
import torch

from sphinx_framework.engine.components import (
    build_components,
    choose_device,
    pipeline_licences,
    refuse_non_commercial,
)
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError, LicenceError, UnknownComponentError
from sphinx_framework.plugin import ComponentSpec
from sphinx_framework.registry import Registry
from sphinx_framework.testing.pipeline import fake_config, fake_specs

CPU = torch.device("cpu")


def with_steps(**spec):
    others = [s for s in fake_specs() if s.kind != "steps"]
    options = {"config": "sphinx_framework.testing.fakes:FakeConfig", **spec}
    return Registry.from_specs(
        [*others, ComponentSpec(kind="steps", name="fake", **options)], "a distribution"
    )


def listening():
    return with_steps(factory="engines:ListeningSteps")


def roles(*names):
    return {role: {"use": "fake"} for role in names}


REQUIRED = ("regression", "diffusion", "quality", "mask", "steps")


def test_auto_is_a_device_that_is_there():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto").type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(ConfigError, match=r"cannot be used.*Try --device cpu"):
        choose_device(name)


def test_every_role_is_built_from_its_component():
    components = build_components(fake_config(), Registry.from_specs(fake_specs()), CPU, "x")
    assert type(components.diffusion).__name__ == "FakeDiffusion"
    assert type(components.embedder).__name__ == "CheckedEmbedder"
    assert components.capabilities.block_sparse
    assert [entry["role"] for entry in components.licences] == [*REQUIRED, "embedder"]


def test_the_embedder_may_be_left_out():
    config = fake_config(pipeline=roles(*REQUIRED))
    components = build_components(config, Registry.from_specs(fake_specs()), CPU, "x")
    assert components.embedder is None


def test_a_step_policy_that_chooses_by_cluster_gets_the_embedder():
    components = build_components(fake_config(), listening(), CPU, "x")
    assert components.steps.given is components.embedder


def test_what_the_making_of_a_component_changes_for_all_is_undone(capsys):
    folder, random, precision = (
        os.getcwd(),
        torch.random.get_rng_state(),
        torch.get_float32_matmul_precision(),
    )
    build_components(fake_config(), with_steps(factory="engines:RudeSteps"), CPU, "x")
    assert os.getcwd() == folder
    assert torch.equal(torch.random.get_rng_state(), random)
    assert torch.get_float32_matmul_precision() == precision
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "made" in printed.err
    assert "the making of steps 'fake' changed the current folder; that is undone." in printed.err


def test_a_step_policy_that_needs_an_embedder_asks_for_one():
    config = fake_config(pipeline=roles(*REQUIRED))
    with pytest.raises(ConfigError, match=r"no embedder.*Add \[pipeline\.embedder\]"):
        build_components(config, listening(), CPU, "mine.toml")


def test_nothing_is_built_when_any_option_is_wrong():
    config = fake_config(
        pipeline={**roles(*REQUIRED), "embedder": {"use": "fake", "sed": 1}},
    )
    registry = Registry.from_specs(
        [
            *(s for s in fake_specs() if s.kind != "regression"),
            ComponentSpec(
                kind="regression",
                name="fake",
                factory="no_such_module:X",
                config="sphinx_framework.testing.fakes:FakeConfig",
            ),
        ]
    )
    with pytest.raises(ConfigError, match="unknown option 'sed'"):
        build_components(config, registry, CPU, "x")


def test_an_unknown_component_is_refused_before_anything_is_loaded():
    config = fake_config(pipeline={**roles(*REQUIRED), "mask": {"use": "fak"}})
    with pytest.raises(UnknownComponentError, match=r"no mask component.*Did you mean 'fake'"):
        Engine.from_config(config, device="cpu", registry=Registry.from_specs(fake_specs()))


def restricted():
    return with_steps(
        factory="sphinx_framework.testing.fakes:FakeSteps",
        licence="MIT",
        weights_licence="CC-BY-NC-4.0",
        non_commercial=True,
    )


def test_licences_name_role_component_distribution_and_both_licences():
    entry = pipeline_licences(fake_config(), restricted())[4]
    assert entry == {
        "role": "steps",
        "component": "fake",
        "distribution": "a distribution",
        "licence": "MIT",
        "weights_licence": "CC-BY-NC-4.0",
        "non_commercial": True,
    }


def test_the_permissive_policy_refuses_what_is_non_commercial_and_says_which():
    with pytest.raises(LicenceError, match=r"steps 'fake' .code MIT, weights CC-BY-NC-4\.0"):
        Engine.from_config(
            fake_config(), device="cpu", registry=restricted(), licence_policy="permissive"
        )


def test_the_permissive_policy_accepts_permissive_pipelines():
    refuse_non_commercial(pipeline_licences(fake_config(), Registry.from_specs(fake_specs())))


def test_an_unknown_licence_policy_is_refused():
    with pytest.raises(ConfigError, match="'strict' is not 'any' or 'permissive'"):
        Engine.from_config(
            fake_config(),
            device="cpu",
            registry=Registry.from_specs(fake_specs()),
            licence_policy="strict",
        )


def test_loading_the_models_is_timed_apart():
    engine = Engine.from_config(
        fake_config(), device="cpu", registry=Registry.from_specs(fake_specs())
    )
    assert engine.load_seconds > 0
