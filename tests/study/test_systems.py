"""Systems as changes of one pipeline, on components that are built once."""

import pytest

from sphinx_framework.errors import ConfigError
from sphinx_framework.plugin import ComponentSpec
from sphinx_framework.registry import Registry
from sphinx_framework.study.evaluate.engines import EngineFactory, changed_config
from sphinx_framework.study.evaluate.systems import (
    System,
    alternative_solver,
    baselines,
    competitors,
    grid,
    methods,
    noise_floor,
    with_solver,
)
from sphinx_framework.testing.pipeline import fake_config, fake_specs

REGISTRY = Registry.from_specs(fake_specs())
CONFIG = fake_config()


def system(**changes):
    return System(name="changed", family="f", mode="fine", quality=0.9, changes=changes)


def test_the_competitor_never_has_more_steps_than_full_diffusion():
    names = [s.name for s in baselines(fake_config(num_steps=12), (25, 12, 10, 2))]
    assert names == ["regression", "diffusion", "diffusion, 10 steps", "diffusion, 2 steps"]


def test_the_method_runs_at_every_mode_and_quality():
    names = [s.name for s in methods(("coarse", "fine"), (0.98, 0.9))]
    assert names == ["coarse 0.98", "fine 0.98", "coarse 0.9", "fine 0.9"]


def test_a_grid_has_every_combination():
    systems = grid(("fine",), (0.9, 0.95), {"plan.refresh_every": [3, 5], "mask.seed": [0, 1]})
    assert len(systems) == len({s.name for s in systems}) == 8
    assert systems[0].name == "fine 0.9, plan.refresh_every 3, mask.seed 0"
    assert systems[0].changes == {"plan.refresh_every": 3, "mask.seed": 0}


def test_a_role_stands_for_its_table():
    changed = changed_config(CONFIG, system(**{"diffusion.seed": 3, "plan.stride": 2}))
    assert changed.pipeline["diffusion"].options == {"seed": 3}
    assert changed.plan.stride == 2


@pytest.mark.parametrize(
    "changes", [{"plan.strid": 2}, {"num_steps": 0}, {"nowhere.at.all": 1}, {"plan.stride": "x"}]
)
def test_a_wrong_change_is_refused_with_its_system(changes):
    with pytest.raises(ConfigError):
        changed_config(CONFIG, system(**changes))


def test_components_with_equal_options_are_built_once():
    systems = [*baselines(CONFIG), *methods(("fine",), (0.9,)), system(**{"mask.seed": 5})]
    engines = EngineFactory(REGISTRY, "cpu").engines(CONFIG, systems)
    assert len({id(e.components.diffusion) for e in engines.values()}) == 1
    assert len({id(e.components.mask) for e in engines.values()}) == 2
    assert engines["diffusion, 5 steps"].config.num_steps == 5


def test_a_bad_option_is_refused_before_anything_is_built():
    factory = EngineFactory(REGISTRY, "cpu")
    with pytest.raises(ConfigError, match=r"system 'changed'.*unknown option 'sed'"):
        factory.engines(CONFIG, [system(**{"mask.sed": 5})])


def test_the_solver_is_an_option_of_the_component_and_not_its_name():
    assert alternative_solver(CONFIG, REGISTRY) == "dpmpp_2m"
    multistep = changed_config(CONFIG, system(**{"diffusion.solver": "dpmpp_2m"}))
    assert alternative_solver(multistep, REGISTRY) == "euler"


@pytest.mark.parametrize(("solver", "stride"), [("dpmpp_2m", 5), ("euler", 1)])
def test_another_solver_is_tried_by_diffusion_and_by_the_method(solver, stride):
    systems = with_solver(CONFIG, solver)
    assert {s.changes["diffusion.solver"] for s in systems} == {solver}
    assert [s.changes["num_steps"] for s in systems if s.mode == "diffusion"] == [10, 5, 2]
    assert {s.changes["plan.stride"] for s in systems if s.mode != "diffusion"} == {stride}


# Options models without a second-order solver; any will do.
WITHOUT = {
    "no option": "sphinx_framework.policy.plan:PlanConfig",
    "no options at all": "",
}


@pytest.mark.parametrize("options", WITHOUT.values(), ids=WITHOUT)
def test_a_model_without_the_option_has_no_other_solver(options):
    spec = ComponentSpec(kind="diffusion", name="fake", factory="nowhere:X", config=options)
    others = [s for s in fake_specs() if s.kind != "diffusion"]
    assert alternative_solver(CONFIG, Registry.from_specs([spec, *others])) is None


def test_competitors_are_told_apart_by_solver_and_the_noise_floor_is_none():
    systems = [
        *baselines(CONFIG, (5, 2)),
        noise_floor(CONFIG),
        *methods(("fine",), (0.9,)),
        *with_solver(CONFIG, "dpmpp_2m"),
    ]
    assert competitors(systems) == {
        "diffusion, fewer steps": ["diffusion", "diffusion, 5 steps", "diffusion, 2 steps"],
        "diffusion, 2M": [
            "diffusion, 10 steps, 2M",
            "diffusion, 5 steps, 2M",
            "diffusion, 2 steps, 2M",
        ],
    }
