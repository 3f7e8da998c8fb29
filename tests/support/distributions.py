"""Plugin distributions in a temporary folder: a module and a ``.dist-info``, without pip."""

import importlib
import sys
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from textwrap import dedent

from sphinx_framework.plugin import ENTRY_POINT_GROUP

SPEC = """
from sphinx_framework.plugin import ComponentSpec, hookimpl

@hookimpl
def sphinx_framework_components():
    return [
        ComponentSpec(kind=kind, name=name, factory="{module}:make", licence="MIT")
        for kind, name in {components}
    ]

def make(options, device, parts):
    return (options, device, parts)
"""


class PluginFolder:
    """Distributions under one folder; ``path`` belongs on ``sys.path`` while they are used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def install(
        self,
        name: str,
        source: str,
        *,
        distribution: str | None = None,
        module: str | None = None,
        version: str = "1.2",
    ) -> str:
        """Write a plugin ``name`` whose entry point is a module of that source; its module."""
        distribution = distribution or f"sphinx-framework-{name}"
        module = module or f"temporary_{distribution.replace('-', '_')}"
        (self.path / f"{module}.py").write_text(dedent(source))
        info = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {module}\n")
        importlib.invalidate_caches()
        return module

    def offer(self, name: str, *components: tuple[str, str], **options: str) -> str:
        """Install a working plugin that offers ``(kind, name)`` components."""
        distribution = options.get("distribution") or f"sphinx-framework-{name}"
        module = f"temporary_{distribution.replace('-', '_')}"
        source = SPEC.format(module=module, components=list(components))
        return self.install(name, source, module=module, **options)

    def points(self) -> list[EntryPoint]:
        """The entry points of these distributions only."""
        return [
            point
            for found in distributions(path=[str(self.path)])
            for point in found.entry_points
            if point.group == ENTRY_POINT_GROUP
        ]

    def forget(self) -> None:
        """Drop the modules of this folder, so that the next test imports its own."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(file).parent == self.path:
                del sys.modules[name]
