"""Finding, naming and building components."""

import pytest

from sphinx_framework.errors import (
    BrokenPluginError,
    ConfigError,
    SceneError,
    UnknownComponentError,
)
from sphinx_framework.options import Options
from sphinx_framework.plugin import ComponentSpec
from sphinx_framework.registry import NoOptions, Registry


def found(plugin_folder):
    return Registry.from_entry_points(plugin_folder.points())


def test_every_plugin_of_the_group_is_listed_with_its_distribution(plugin_folder):
    plugin_folder.offer("one", ("mask", "round"), ("quality", "sharp"))
    plugin_folder.offer("two", ("mask", "square"), version="0.3")
    registry = found(plugin_folder)
    assert [(p.name, p.distribution, p.version, p.status) for p in registry.plugins] == [
        ("one", "sphinx-framework-one", "1.2", "ok"),
        ("two", "sphinx-framework-two", "0.3", "ok"),
    ]
    assert registry.names("mask") == ["round", "square"]
    assert registry.names("quality") == ["sharp"]
    assert registry.names("steps") == []


def test_the_distribution_of_a_component_is_told(plugin_folder):
    plugin_folder.offer("one", ("mask", "round"))
    registry = found(plugin_folder)
    assert registry.distribution_of(registry.find("mask", "round")) == "sphinx-framework-one 1.2"


def test_installed_distributions_are_discovered(plugin_folder):
    plugin_folder.offer("discovered", ("mask", "discovered"))
    assert "discovered" in Registry.from_entry_points().names("mask")


def test_no_plugin_at_all_is_an_empty_registry():
    registry = Registry.from_entry_points([])
    assert registry.specs == []
    with pytest.raises(UnknownComponentError, match="Known: none installed"):
        registry.find("mask", "round")


def test_the_environment_names_the_plugins_to_load(plugin_folder, monkeypatch):
    plugin_folder.offer("one", ("mask", "round"))
    plugin_folder.install("two", "raise RuntimeError('must not be imported')")
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "one, three")
    status = {
        plugin.name: (plugin.status, plugin.reason) for plugin in found(plugin_folder).plugins
    }
    assert status == {
        "one": ("ok", ""),
        "two": ("blocked", "not named in $SPHINX_FRAMEWORK_PLUGINS"),
        "three": ("absent", "no installed plugin has that name."),
    }


def test_an_empty_environment_variable_loads_nothing(plugin_folder, monkeypatch):
    plugin_folder.offer("one", ("mask", "round"))
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "")
    assert found(plugin_folder).specs == []


def test_a_misspelt_component_is_suggested(plugin_folder):
    plugin_folder.offer("one", ("mask", "opacity"), ("mask", "blur"), ("quality", "opacities"))
    with pytest.raises(UnknownComponentError) as error:
        found(plugin_folder).find("mask", "opacty")
    assert error.value.message == "no mask component is named 'opacty'."
    assert error.value.hint == "Did you mean 'opacity'? Known: blur, opacity."


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(UnknownComponentError, match=r"no component kind 'masks'.*embedder"):
        Registry.from_specs([]).find("masks", "opacity")


def test_a_component_of_a_blocked_plugin_says_why_it_is_missing(plugin_folder, monkeypatch):
    plugin_folder.offer("one", ("mask", "one"))
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "other")
    with pytest.raises(BrokenPluginError, match=r"blocked: not named in \$SPHINX_FRAMEWORK"):
        found(plugin_folder).find("mask", "one")


def fake_specs():
    return [
        ComponentSpec(
            kind="quality",
            name="fake",
            factory="sphinx_framework.testing.fakes:FakeQuality",
            config="sphinx_framework.testing.fakes:FakeConfig",
        ),
        ComponentSpec(kind="mask", name="bare", factory="builtins:dict"),
    ]


def test_a_component_is_built_with_its_options_and_device():
    registry = Registry.from_specs(fake_specs())
    options = registry.options("quality", "fake", {"seed": 3}, "here")
    assert options.seed == 3
    assert registry.build("quality", "fake", options, "cpu").device == "cpu"


def test_an_unknown_option_is_refused_with_file_table_and_suggestion():
    with pytest.raises(
        ConfigError, match=r"^my.toml: unknown option 'sed' for 'fake'. Did you mean 'seed'\?"
    ):
        Registry.from_specs(fake_specs()).options("quality", "fake", {"sed": 3}, "my.toml")


def test_an_option_of_the_wrong_type_is_named_with_its_value():
    with pytest.raises(ConfigError, match=r"option 'seed' of 'fake': .*integer.*got 'three'"):
        Registry.from_specs(fake_specs()).options("quality", "fake", {"seed": "three"}, "x")


def test_a_component_without_options_accepts_none():
    registry = Registry.from_specs(fake_specs())
    assert registry.options("mask", "bare", {}, "x") == NoOptions()
    with pytest.raises(ConfigError, match=r"unknown option 'a' for 'bare'\. Known: none"):
        registry.options("mask", "bare", {"a": 1}, "x")


@pytest.mark.parametrize(
    ("factory", "complaint"),
    [
        ("no_such_module:Thing", "ModuleNotFoundError.*Install what is missing"),
        ("sphinx_framework.testing.fakes:NoSuchThing", "AttributeError.*--debug"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_a_broken_plugin(factory, complaint):
    spec = ComponentSpec(kind="mask", name="mine", factory=factory)
    with pytest.raises(BrokenPluginError, match=complaint):
        Registry.from_specs([spec]).build("mask", "mine", NoOptions(), "cpu")


def test_a_factory_that_raises_is_a_broken_plugin(plugin_folder):
    plugin_folder.install(
        "bad",
        """
        from sphinx_framework.plugin import ComponentSpec, hookimpl

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="mask", name="bad", factory=__name__ + ":make")]

        def make(options, device, parts):
            raise KeyError("weights")
        """,
    )
    with pytest.raises(BrokenPluginError, match=r"'bad' from sphinx-framework-bad 1\.2 could not"):
        found(plugin_folder).build("mask", "bad", NoOptions(), "cpu")


def test_the_frameworks_own_errors_of_a_factory_keep_their_kind_and_name_it(plugin_folder):
    plugin_folder.install(
        "picky",
        """
        from sphinx_framework.errors import SceneError
        from sphinx_framework.plugin import ComponentSpec, hookimpl

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="mask", name="picky", factory=__name__ + ":make")]

        def make(options, device, parts):
            raise SceneError("not like this.")
        """,
    )
    with pytest.raises(
        SceneError, match=r"^mask 'picky' from sphinx-framework-picky 1\.2: not like this\.$"
    ):
        found(plugin_folder).build("mask", "picky", NoOptions(), "cpu")


def test_a_factory_may_leave_out_the_parts_that_it_does_not_use(plugin_folder):
    plugin_folder.install(
        "plain",
        """
        from sphinx_framework.plugin import ComponentSpec, hookimpl

        def make(options, device):
            return device

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="mask", name="plain", factory=__name__ + ":make")]
        """,
    )
    assert found(plugin_folder).build("mask", "plain", NoOptions(), "cpu") == "cpu"


def test_a_factory_that_cannot_be_called_is_named_with_what_it_must_take(plugin_folder):
    plugin_folder.install(
        "old",
        """
        from sphinx_framework.plugin import ComponentSpec, hookimpl

        def make(options):
            return object()

        @hookimpl
        def sphinx_framework_components():
            return [ComponentSpec(kind="mask", name="old", factory=__name__ + ":make")]
        """,
    )
    with pytest.raises(BrokenPluginError, match=r"\(options, device, parts\).*writing-a-plugin"):
        found(plugin_folder).build("mask", "old", NoOptions(), "cpu")


class Deep(Options):
    depth: float = 1.0


class Nested(Options):
    plane: Deep | None = None
    needed: int


def test_options_within_options_are_suggested_from_their_own_table(monkeypatch):
    monkeypatch.setattr(Registry, "options_model", lambda *_: Nested)
    registry = Registry.from_specs(fake_specs())
    with pytest.raises(ConfigError, match=r"'plane\.dpth' for 'fake'.*'depth'\? Known: depth\."):
        registry.options("quality", "fake", {"plane": {"dpth": 2}, "needed": 1}, "x")
    with pytest.raises(ConfigError, match=r"x: 'fake' needs the option 'needed'\."):
        registry.options("quality", "fake", {}, "x")


def test_who_else_offers_a_name_is_known(plugin_folder):
    plugin_folder.offer("one", ("mask", "round"))
    plugin_folder.offer("two", ("mask", "round"), ("mask", "square"))
    registry = found(plugin_folder)
    assert registry.also_offered("mask", "round") == ["sphinx-framework-two 1.2"]
    assert registry.also_offered("mask", "square") == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "q 8/../x"}, "more in it than letters"),
        ({"factory": "no colon here"}, "where module:name is expected"),
    ],
)
def test_a_spec_that_cannot_be_meant_makes_a_broken_plugin(plugin_folder, change, why):
    said = {"kind": "mask", "name": "round", "factory": "a:b", "licence": "MIT", **change}
    plugin_folder.install(
        "odd",
        "from sphinx_framework.plugin import ComponentSpec, hookimpl\n"
        "@hookimpl\n"
        f"def sphinx_framework_components():\n    return [ComponentSpec(**{said!r})]\n",
    )
    (plugin,) = found(plugin_folder).plugins
    assert plugin.status == "broken"
    assert why in plugin.reason
