"""A plugin of fakes: jobs of :data:`HELD_TARGETS` stand still while the file ``HOLD`` is there.

What a test wants to see of a running job, it then sees, however busy the machine is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HELD_TARGETS = 11
HELD = {"targets": f"interpolate:{HELD_TARGETS}"}
QUICK = {"targets": "interpolate:2"}

PLUGIN = f"""
import os
import time
from sphinx_framework.plugin import hookimpl
from sphinx_framework.testing.fakes import FakeRegression

class Held(FakeRegression):
    def predict(self, scene):
        while len(scene.targets) == {HELD_TARGETS} and os.path.exists(os.environ["HOLD"]):
            time.sleep(0.02)
        return super().predict(scene)

@hookimpl
def sphinx_framework_components():
    from dataclasses import replace
    from sphinx_framework.testing.pipeline import fake_specs
    return [
        replace(spec, factory=__name__ + ":Held") if spec.kind == "regression" else spec
        for spec in fake_specs()
    ]
"""


@contextmanager
def holding(server) -> Iterator[Path]:
    """Held jobs of a server whose ``HOLD`` this is stand still until the file is gone."""
    file = Path(server.environment["HOLD"])
    file.touch()
    yield file
    file.unlink(missing_ok=True)
