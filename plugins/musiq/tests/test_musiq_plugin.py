import sys

from sphinx_framework.registry import Registry
from sphinx_framework_musiq.plugin import sphinx_framework_components


def test_the_licence_is_declared_non_commercial() -> None:
    (spec,) = sphinx_framework_components()
    assert spec.non_commercial
    assert "PolyForm-Noncommercial" in spec.licence


def test_options_are_read_without_pyiqa() -> None:
    loaded = "pyiqa" in sys.modules
    registry = Registry.from_specs(sphinx_framework_components())
    assert registry.options("quality", "musiq", {}, "test").weights == "koniq10k"
    assert ("pyiqa" in sys.modules) == loaded
