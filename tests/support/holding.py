"""A plugin of fakes: jobs that :func:`held` asks for stand still while the file ``HOLD`` is there.

What a test wants to see of a running job, it then sees, however busy the machine is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

_HELD_TARGETS = count(11)
QUICK = {"targets": "interpolate:2"}

PLUGIN = """
import os
import time
from sphinx_framework.plugin import hookimpl
from sphinx_framework.testing.fakes import FakeRegression

class Held(FakeRegression):
    def predict(self, scene):
        while len(scene.targets) >= 11 and os.path.exists(os.environ["HOLD"]):
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


def held() -> dict[str, str]:
    """One that stands still: new each time, as a server renders coarse views once."""
    return {"targets": f"interpolate:{next(_HELD_TARGETS)}"}


@contextmanager
def holding(server) -> Iterator[Path]:
    """Held jobs of a server whose ``HOLD`` this is stand still until the file is gone."""
    file = Path(server.environment["HOLD"])
    file.touch()
    yield file
    file.unlink(missing_ok=True)
