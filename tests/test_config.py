"""Pipeline files: two stages of validation, overrides, and errors that name file and key."""

import pytest
from pydantic import ValidationError

from sphinx_framework.config import (
    config_from_dict,
    load_config,
    load_cost,
    overridden,
    parse_override,
    shipped_configs,
)
from sphinx_framework.errors import ConfigError
from sphinx_framework.registry import Registry
from sphinx_framework.testing.pipeline import fake_config, fake_specs

PIPELINE = "\n".join(f'[pipeline.{spec.kind}]\nuse = "fake"\n' for spec in fake_specs())


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return written


def complaint(path, *overrides):
    with pytest.raises(ConfigError) as error:
        load_config(path, overrides)
    return str(error.value)


def test_a_pipeline_of_nothing_but_components_has_defaults_for_the_rest(write):
    config = load_config(write(PIPELINE))
    assert (config.name, config.mode, config.quality) == ("mine", "selective", 0.95)
    assert (config.num_steps, config.gamma) == (50, 0.5)
    assert config.plan.refresh_every == 5
    assert config.pipeline["mask"].options == {}


def test_options_of_components_wait_for_the_second_stage(write):
    config = load_config(write(PIPELINE.replace('use = "fake"', 'use = "fake"\nseed = 4', 1)))
    assert config.pipeline["regression"].options == {"seed": 4}
    options = config.validate_options(Registry.from_specs(fake_specs()), "mine.toml")
    assert options["regression"].seed == 4
    assert options["diffusion"].seed == 0


def test_the_second_stage_names_file_table_option_and_suggestion(write):
    config = load_config(write(PIPELINE.replace('use = "fake"', 'use = "fake"\nseeed = 4', 1)))
    with pytest.raises(ConfigError) as error:
        config.validate_options(Registry.from_specs(fake_specs()), "mine.toml")
    assert str(error.value).startswith(
        "mine.toml, [pipeline.regression]: unknown option 'seeed' for 'fake'. Did you mean 'seed'?"
    )


def test_an_unknown_key_is_named_with_a_suggestion(write):
    told = complaint(write("qualty = 0.9\n" + PIPELINE))
    assert "mine.toml: unknown key 'qualty'" in told
    assert "Did you mean 'quality'?" in told


def test_an_unknown_key_of_a_table_is_suggested_from_that_table(write):
    told = complaint(write(PIPELINE + "[plan]\nrefresh_evry = 3\n"))
    assert "unknown key 'plan.refresh_evry'" in told
    assert "Did you mean 'refresh_every'?" in told
    assert "quality" not in told


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("quality = 1.5\n", "'quality'"),
        ("quality = 0\n", "'quality'"),
        ('quality = "high"\n', "'quality'"),
        ("num_steps = 0\n", "'num_steps'"),
        ('mode = "best"\n', "'mode'"),
        ("size = [0.5, 64]\n", "'size.0'"),
        ('fit = "squeeze"\n', "'fit'"),
        ("gamma = -1\n", "'gamma'"),
    ],
)
def test_an_impossible_value_is_named_with_key_and_value(write, text, key):
    told = complaint(write(text + PIPELINE))
    assert f"mine.toml: key {key}" in told
    assert "got" in told


def test_missing_roles_are_listed(write):
    told = complaint(write('[pipeline.regression]\nuse = "fake"\n'))
    assert "no component chosen for: diffusion, quality, mask, steps" in told
    assert "embedder" not in told


def test_an_unknown_role_is_suggested(write):
    told = complaint(write(PIPELINE.replace("pipeline.mask", "pipeline.masks")))
    assert "unknown role 'masks'" in told
    assert "Did you mean 'mask'?" in told


def test_a_role_without_a_component_name_is_refused(write):
    told = complaint(write(PIPELINE.replace('use = "fake"', "seed = 1", 1)))
    assert "pipeline.regression.use" in told


def test_a_file_without_a_pipeline_is_refused(write):
    assert "'pipeline'" in complaint(write("quality = 0.9\n"))


@pytest.mark.parametrize("text", ["quality = = 3", "[plan", '"\\z"', "a = 1\na = 2"])
def test_a_file_that_is_no_toml_says_where(write, text):
    told = complaint(write(text))
    assert "mine.toml: not a valid TOML file" in told
    assert "(at " in told


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes(b'summary = "caf\xe9"\n')
    assert "not a valid TOML file" in complaint(path)


def test_a_missing_file_is_refused(tmp_path):
    assert "no such config file" in complaint(tmp_path / "nothing.toml")


def test_a_folder_is_no_config_file(tmp_path):
    assert "no such config file" in complaint(tmp_path)


def test_a_misspelt_shipped_config_is_suggested():
    names = list(shipped_configs())
    told = complaint(names[0] + "x")
    assert f"no shipped config named '{names[0]}x'" in told
    assert f"Did you mean '{names[0]}'?" in told


def test_every_shipped_config_passes_the_first_stage():
    for name in shipped_configs():
        assert load_config(name).name == name


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("quality=0.5", 0.5),
        ("num_steps=10", 10),
        ("mode=fine", "fine"),
        ('name="a b"', "a b"),
        ("size=[64, 32]", (64, 32)),
    ],
)
def test_overrides_are_toml_values_or_plain_text(write, override, value):
    config = load_config(write(PIPELINE), [override])
    assert getattr(config, override.partition("=")[0]) == value


def test_overrides_reach_into_tables_that_the_file_does_not_have(write):
    config = load_config(write(PIPELINE), ["plan.stride=5", "engine.retry=true"])
    assert config.plan.stride == 5
    assert config.engine.retry


def test_a_role_stands_for_its_table(write):
    config = load_config(write(PIPELINE), ["steps.use=klogic", "pipeline.mask.use=none"])
    assert config.pipeline["steps"].use == "klogic"
    assert config.pipeline["mask"].use == "none"


def test_another_component_takes_no_options_of_the_one_before(write):
    for order in (1, -1):
        chosen = ["steps.use=klogic", "steps.max_start=30"][::order]
        config = load_config(write(PIPELINE), ["steps.start=7", *chosen])
        assert config.pipeline["steps"].options == {"start": 7, "max_start": 30}
    config = load_config("lite", ["steps.use=fixed"])
    assert config.pipeline["steps"].options == {}
    again = overridden(load_config("lite"), ["steps.use=fixed", "steps.start=30"])
    assert again.pipeline["steps"].options == {"start": 30}


def test_the_same_component_keeps_its_options():
    kept = load_config("lite", ["steps.use=klogic", "steps.max_start=40"]).pipeline["steps"]
    assert kept.options == {"rules": "sphinx_framework_lite:rules.toml", "max_start": 40}


def test_the_last_override_wins(write):
    assert load_config(write(PIPELINE), ["quality=0.5", "quality=0.6"]).quality == 0.6


@pytest.mark.parametrize("override", ["quality", "=3", ".a=3", "plan.=3", ""])
def test_an_override_without_a_key_and_a_value_is_explained(write, override):
    assert "expected KEY.PATH=VALUE" in complaint(write(PIPELINE), override)


def test_an_override_into_a_value_is_refused(write):
    told = complaint(write("gamma = 0.9\n" + PIPELINE), "gamma.low=0.1")
    assert "'gamma' is a value, not a table" in told


def test_an_override_of_an_unknown_key_is_suggested(write):
    told = complaint(write(PIPELINE), "plan.strid=5")
    assert "unknown key 'plan.strid'" in told
    assert "Did you mean 'stride'?" in told


def test_values_of_overrides_keep_their_equals_signs():
    assert parse_override('a.b="x=y"') == ("a.b", "x=y")
    assert parse_override("a=x=y") == ("a", "x=y")


def test_configs_are_immutable():
    with pytest.raises(ValidationError):
        fake_config().quality = 0.1


def test_a_config_survives_a_round_trip_through_its_dump():
    config = fake_config(mode="fine", plan={"stride": 3})
    assert config_from_dict(config.model_dump()) == config


def test_a_cost_file_is_read(write):
    cost = load_cost(write('[cost]\nfull = 0.25\nmeasured = "here"\nnum_frames = 8\n'))
    assert (cost.full, cost.measured, cost.num_frames) == (0.25, "here", 8)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("full = 1\n", r"has no \[cost\] table"),
        ('[cost]\nfull = "fast"\n', r"\[cost\]: full"),
        ("[cost]\nspeed = 3\n", r"\[cost\]: speed"),
        ("cost = 5\n", r"\[cost\]"),
        ("[cost", "not a valid TOML"),
    ],
)
def test_a_cost_file_that_is_none_is_refused(write, text, told):
    with pytest.raises(ConfigError, match=told):
        load_cost(write(text))


SIZE = "pixels=9216, frames=6, full=0.1, encode_per_frame=0.0, decode_per_frame=0.0, "
SIZE += "regression_seconds=0.1, quality_seconds=0.1, plan_seconds=0.1"


@pytest.mark.parametrize(
    "line",
    [
        *(f"full = {value}" for value in ("-1.0", "0", "nan", "inf")),
        *(f"frames_slope = {value}" for value in ("-1.0", "nan")),
        "tiles_slope = 0",
        *(f"{key} = -0.1" for key in ("dense", "frames_base", "tiles_base", "tiles_slope")),
        *(f"{key}_seconds = -1" for key in ("regression", "quality", "plan")),
        *(f"{key}_per_frame = inf" for key in ("encode", "decode")),
        *(f"watts = {value}" for value in ("0", "-5", "nan")),
        *(f"{key} = -1" for key in ("num_frames", "pixels")),
        "one_branch = nan",
        *(
            f"sizes = [{{{SIZE.replace(good, bad)}}}]"
            for good, bad in (
                ("pixels=9216", "pixels=0"),
                ("frames=6", "frames=-6"),
                ("full=0.1", "full=0"),
                ("full=0.1", "full=nan"),
                ("quality_seconds=0.1", "quality_seconds=-0.1"),
                ("plan_seconds=0.1", "plan_seconds=inf"),
            )
        ),
    ],
)
def test_a_cost_that_cannot_be_is_refused_with_its_file_and_key(write, line):
    path = write(f'[cost]\nmeasured = "x"\n{line}\n')
    key = line.partition(" ")[0]
    with pytest.raises(ConfigError, match=rf"{path}, \[cost\]: {key}.*(greater|finite)"):
        load_cost(path)


def test_a_cost_at_several_sizes_is_read(write):
    assert load_cost(write(f'[cost]\nmeasured = "x"\nsizes = [{{{SIZE}}}]\n')).sizes


def test_a_missing_cost_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_cost(tmp_path / "cost.toml")
