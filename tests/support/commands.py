"""Running ``sphinx-nvs`` on a plugin of fakes, in this process or in one of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributions import PluginFolder

from sphinx_framework.cli.main import main
from sphinx_framework.testing.pipeline import fake_specs

FAKES = """
from sphinx_framework.plugin import hookimpl

@hookimpl
def sphinx_framework_components():
    from sphinx_framework.testing.pipeline import fake_specs
    return fake_specs()
"""
PIPELINE = (
    'summary = "fakes"\nnum_steps = 12\nquality = 0.9\n'
    + "".join(f'[pipeline.{spec.kind}]\nuse = "fake"\n' for spec in fake_specs())
    + "[evidence]\nguard = false\n"
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """Everything it said, with line breaks as spaces."""
        return " ".join((self.out + self.err).split())


class Command:
    """``sphinx-nvs`` with a pipeline ``config``, a ``scene`` and a folder ``out`` at hand."""

    def __init__(
        self,
        folder: Path,
        plugins: PluginFolder,
        scene: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.plugins, self.scene, self.capsys = plugins, scene, capsys
        self.folder, self.out = folder, folder / "out"
        self.config = folder / "pipeline.toml"
        self.config.write_text(PIPELINE)
        plugins.install("fakes", FAKES)

    def __call__(self, *arguments: object) -> Ended:
        """Run in this process."""
        self.capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        captured = self.capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    def apart(self, *arguments: object) -> Ended:
        """Run in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "sphinx_framework", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(self.plugins.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def render(self, *more: object, out: Path | None = None) -> Ended:
        """``render`` of the scene with the pipeline of fakes."""
        given = ("--config", self.config, "--scene", self.scene, "--device", "cpu")
        return self("render", *given, "--out", out or self.out, *more)

    def plan(self, *more: object) -> Ended:
        """``plan`` of the scene with the pipeline of fakes."""
        given = ("--config", self.config, "--scene", self.scene, "--device", "cpu")
        return self("plan", *given, *more)
