"""Runs every regression stage with every diffusion stage, tiny and without weights; prints a table.

What stages disagree about (sizes, depth ranges, opacity, Gaussians, numbers of frames and photos)
is reconciled, or refused with one sentence. Anything else is a defect: exit 1. What is rendered
means nothing. Settings that make a stage tiny lie in ``benchmarks/tiny/KIND-NAME.toml``; files that
it needs (a pipeline, a model, Gaussians) are written by ``benchmarks/tiny/files.py``.

Run: ``python benchmarks/pairs.py > docs/pairs.md``.
"""

import argparse
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tiny.files import FILES

from sphinx_framework.config import config_from_dict
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import JobError, SphinxError
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import Cameras, Scene

TINY = Path(__file__).parent / "tiny"
RUNS = "runs"
OTHERS = {
    "quality": {"use": "lite"},
    "mask": {"use": "opacity-blur"},
    "steps": {
        "use": "klogic",
        "rules": "sphinx_framework_klogic:placeholder_efficient_lvsm_seva.toml",
    },
}
INTRODUCTION = """\
# Which stages go together

Printed by `python benchmarks/pairs.py`: every regression stage with every diffusion stage that is
installed, at a tiny size without official weights (so it says what runs, not how good it looks).
Every entry is a whole request. "refused" means one sentence; the sentences are below the table.
Sizes are refused only where no `size` is set: scenes are fitted to the `size` of a config.
`stable-video` runs whole clips only: it skips no frame or tile, and the report says so.
"""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a scene is like, and the mode it is rendered in."""

    name: str
    scene: Callable[[], Scene]
    mode: Mode = "diffusion"


def without_range() -> Scene:
    """Two photos; nobody knows how far things are."""
    return replace(fake_scene(3, 2, (64, 64)), near=None, far=None, order=None)


def in_millimetres() -> Scene:
    """Two photos whose cameras stand a thousand times as far apart, without a depth range."""

    def apart(cameras: Cameras) -> Cameras:
        poses = cameras.world_from_camera.clone()
        poses[:, :3, 3] *= 1000
        return replace(cameras, world_from_camera=poses)

    scene = without_range()
    return replace(scene, inputs=apart(scene.inputs), targets=apart(scene.targets))


SITUATIONS = (
    Situation("two photos", lambda: fake_scene(3, 2, (64, 64))),
    Situation("the same, selective", lambda: fake_scene(3, 2, (64, 64)), "selective"),
    Situation("four photos, 64x128", lambda: fake_scene(2, 4, (64, 128))),
    Situation("one photo", lambda: fake_scene(2, 1, (64, 64))),
    Situation("no depth range, no order", without_range),
    Situation("the same in millimetres", in_millimetres),
    Situation("more targets than a pass", lambda: fake_scene(12, 2, (64, 64))),
    Situation("50x70", lambda: fake_scene(2, 2, (50, 70))),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the pairs that are asked for; 1 when any of them fails instead of running or refusing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regression", nargs="*", help="names; default: all installed")
    parser.add_argument("--diffusion", nargs="*", help="names; default: all installed")
    parser.add_argument(
        "--situations", type=int, nargs="*", help="numbers of columns; default: all"
    )
    options = parser.parse_args(arguments)
    registry = Registry.from_entry_points()
    columns = [SITUATIONS[i] for i in options.situations or range(len(SITUATIONS))]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        tiny = Tiny(Path(folder))
        for regression in chosen(registry, "regression", options.regression):
            for diffusion in chosen(registry, "diffusion", options.diffusion):
                told = outcomes(registry, tiny, regression, diffusion, columns)
                rows.append((f"{regression} + {diffusion}", told))
                words = [cell.split(":")[0] for cell in told]
                sys.stderr.write(f"{regression} + {diffusion}: {words}\n")
    left_out = [
        f"`{name}`"
        for kind in ("regression", "diffusion")
        for name in sorted(registry.names(kind))
        if not has_settings(kind, name)
    ]
    sys.stdout.write(table(columns, rows, left_out))
    return int(any(cell.startswith("FAILED") for _, told in rows for cell in told))


def chosen(registry: Registry, kind: str, names: list[str] | None) -> list[str]:
    """Names of the installed components of a kind, or those asked for.

    Not asked for by name, a component needs settings that make it tiny.
    """
    found = sorted(registry.names(kind))
    return [n for n in found if (n in names if names is not None else has_settings(kind, n))]


def has_settings(kind: str, name: str) -> bool:
    """Whether something here makes the component tiny; nothing knows how of a third party's."""
    return (TINY / f"{kind}-{name}.toml").exists()


class Tiny:
    """Settings that make components tiny; their files are written once, into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, dict[str, Any]] = {}

    def settings(self, kind: str, name: str) -> dict[str, Any]:
        """The table of a role; raises ``FileNotFoundError`` where there are no settings."""
        key = f"{kind}-{name}"
        if key not in self._known:
            found = tomllib.loads((TINY / f"{key}.toml").read_text())
            if key in FILES:
                setting, written = FILES[key]
                found[setting] = str(written(self._folder))
            self._known[key] = {"use": name, **found}
        return self._known[key]


def outcomes(
    registry: Registry, tiny: Tiny, regression: str, diffusion: str, columns: list[Situation]
) -> list[str]:
    """What becomes of each situation: "runs", "refused: why", or "FAILED: what"."""
    try:
        engine = engine_of(registry, tiny, regression, diffusion)
    except FileNotFoundError as missing:
        return [f"not run: no {Path(missing.filename).name} in benchmarks/tiny"] * len(columns)
    except Exception as error:
        return [outcome(error)] * len(columns)
    return [rendered(engine, situation) for situation in columns]


def engine_of(registry: Registry, tiny: Tiny, regression: str, diffusion: str) -> Engine:
    """The pair, tiny and on the CPU; raises ``FileNotFoundError`` without settings for either."""
    roles = {
        "regression": tiny.settings("regression", regression),
        "diffusion": tiny.settings("diffusion", diffusion),
        **OTHERS,
    }
    config = config_from_dict({"name": "pair", "num_steps": 3, "pipeline": roles})
    return Engine.from_config(config, device="cpu", registry=registry)


def rendered(engine: Engine, situation: Situation) -> str:
    """Render one scene and look at what came of it."""
    scene = situation.scene()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("error")
            result = engine.render(scene, mode=situation.mode, quality=1.0, seed=0)
    except Exception as error:
        return outcome(error)
    expected = (len(scene.targets), 3, *scene.targets.image_size)
    if tuple(result.images.shape) != expected or not bool(result.images.isfinite().all()):
        return f"FAILED: frames of shape {tuple(result.images.shape)}, or not finite"
    run = [frame.steps_run for frame in result.report.frames]
    if situation.mode == "diffusion" and run != [3] * len(scene.targets):
        return f"FAILED: steps {run} instead of 3 each"
    return RUNS


def outcome(error: Exception) -> str:
    """An error of ours is a refusal, any other a defect."""
    # A component that raised is a defect, whatever the engine makes of it.
    if isinstance(error, JobError) and error.kind == "component-raised":
        cause = error.__cause__ or error
        return f"FAILED: {type(cause).__name__}: {(str(cause).splitlines() or [''])[0]}"
    if isinstance(error, SphinxError):
        return f"refused: {error.message}"
    return f"FAILED: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def table(columns: list[Situation], rows: list[tuple[str, list[str]]], left_out: list[str]) -> str:
    """The page in Markdown: a table, then every sentence that is no "runs" once."""
    lines = [INTRODUCTION]
    if left_out:
        told = ", ".join(left_out)
        lines.append(f"Not run, because nothing in `benchmarks/tiny` makes them tiny: {told}.\n")
    lines += ["| pair | " + " | ".join(c.name for c in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    sentences: dict[str, int] = {}
    for name, told in rows:
        cells = []
        for cell in told:
            word = cell.split(":")[0]
            number = sentences.setdefault(cell, len(sentences) + 1) if cell != RUNS else None
            cells.append(word if number is None else f"{word} ({number})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if sentences:
        lines.append("")
        lines += [f"{number}. {sentence}" for sentence, number in sentences.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
