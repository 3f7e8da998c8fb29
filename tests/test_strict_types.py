"""In a configuration ``true`` and ``"50"`` are no numbers, and ``"yes"`` is not true."""

import numpy as np
import pytest
from pydantic import Field, ValidationError

from sphinx_framework.cli.configs import pipeline_document
from sphinx_framework.config import load_config, shipped_configs
from sphinx_framework.errors import ConfigError
from sphinx_framework.options import Options
from sphinx_framework.registry import Registry


class Inner(Options):
    share: float = 0.5
    many: tuple[float, ...] = ()


class Outer(Options):
    count: int = Field(default=1, ge=0)
    share: float | None = None
    on: bool = False
    either: int | str = 0
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()
    by_name: dict[str, float] = {}
    type: int = 0


@pytest.mark.parametrize(
    ("given", "place", "told"),
    [
        ({"count": True}, ("count",), "a valid integer, not true or false"),
        ({"count": "5"}, ("count",), "a valid integer, not a text"),
        ({"share": True}, ("share",), "a valid number, not true or false"),
        ({"share": "0.5"}, ("share",), "a valid number, not a text"),
        ({"on": "yes"}, ("on",), "true or false"),
        ({"on": 1}, ("on",), "true or false"),
        ({"either": True}, ("either", "int"), "a valid integer, not true or false"),
        ({"inner": {"share": "1"}}, ("inner", "share"), "not a text"),
        ({"inner": {"many": [1, True]}}, ("inner", "many", 1), "not true or false"),
        ({"several": [{"share": True}]}, ("several", 0, "share"), "not true or false"),
        ({"by_name": {"a": True}}, ("by_name", "a"), "not true or false"),
        ({"type": "1"}, ("type",), "not a text"),
        ({"count": -1}, ("count",), "greater than or equal to 0"),
    ],
)
def test_another_kind_is_refused_however_deep(given, place, told):
    with pytest.raises(ValidationError) as refused:
        Outer(**given)
    problem = refused.value.errors()[0]
    assert problem["loc"] == place
    assert told in problem["msg"]


def test_whole_numbers_count_as_numbers_lists_as_tuples_and_numpy_s_as_numbers():
    made = Outer(
        count=np.int64(2), share=1, on=np.True_, either="5", inner={"many": [1, np.float32(2)]}
    )
    assert (made.count, made.share, made.on, made.either) == (2, 1.0, True, "5")
    assert made.inner.many == (1.0, 2.0)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("num_steps=true", "num_steps"),
        ('num_steps="50"', "num_steps"),
        ("quality=true", "quality"),
        ('quality="0.95"', "quality"),
        ("composite.carry_detail=yes", "composite.carry_detail"),
        ("engine.strict=1", "engine.strict"),
        ("size=[true, 96]", "size.0"),
        ("plan.stride=true", "plan.stride"),
    ],
)
def test_a_pipeline_names_file_and_key(override, key):
    with pytest.raises(ConfigError, match=rf"lite\.toml, with .*: key '{key}': Input should be"):
        load_config("lite", [override])


def test_what_toml_reads_as_a_number_is_one():
    config = load_config("lite", ["num_steps=40", "quality=1", "composite.carry_detail=true"])
    assert (config.num_steps, config.quality, config.composite.carry_detail) == (40, 1.0, True)


def test_options_of_plugins_are_as_strict():
    config = load_config("lite", ["mask.opacity_below=true"])
    with pytest.raises(ConfigError, match=r"'opacity_below' of .*: Input should be a valid number"):
        config.validate_options(Registry.from_entry_points(), "here")


def test_every_shipped_pipeline_still_loads():
    registry = Registry.from_entry_points()
    for name in shipped_configs():
        load_config(name).validate_options(registry, name)


def test_the_schema_says_what_it_said():
    document = pipeline_document(Registry.from_entry_points())
    assert document["properties"]["num_steps"]["type"] == "integer"
    assert document["properties"]["quality"]["type"] == "number"
    assert document["$defs"]["EngineConfig"]["properties"]["strict"]["type"] == "boolean"


def test_a_file_that_notepad_wrote_is_read(tmp_path):
    source = shipped_configs()["lite"].read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(source, encoding="utf-8-sig")
    (tmp_path / "plain.toml").write_text(source, encoding="utf-8")
    marked, plain = load_config(tmp_path / "mine.toml"), load_config(tmp_path / "plain.toml")
    assert marked == plain.model_copy(update={"name": marked.name})
