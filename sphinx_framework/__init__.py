"""Quality-targeted novel view synthesis: a fast regression model, refined where it pays.

Public names resolve lazily, so that importing the package (and listing plugins) loads no torch.
"""

from typing import TYPE_CHECKING, Any

from sphinx_framework.version import __version__

if TYPE_CHECKING:
    from sphinx_framework.config import PipelineConfig as PipelineConfig
    from sphinx_framework.config import load_config as load_config
    from sphinx_framework.engine.engine import Engine as Engine
    from sphinx_framework.engine.result import RenderResult as RenderResult
    from sphinx_framework.errors import SphinxError as SphinxError
    from sphinx_framework.output.results import save_result as save_result
    from sphinx_framework.registry import Registry as Registry
    from sphinx_framework.scenes.load import load_scene as load_scene
    from sphinx_framework.types import Cameras as Cameras
    from sphinx_framework.types import CoarseViews as CoarseViews
    from sphinx_framework.types import Scene as Scene

_HOMES = {
    "PipelineConfig": "config",
    "load_config": "config",
    "Engine": "engine.engine",
    "RenderResult": "engine.result",
    "SphinxError": "errors",
    "load_scene": "scenes.load",
    "save_result": "output.results",
    "Registry": "registry",
    "Cameras": "types",
    "CoarseViews": "types",
    "Scene": "types",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sphinx_framework' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"sphinx_framework.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
