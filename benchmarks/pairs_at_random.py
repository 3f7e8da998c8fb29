"""Any stages on any scene, drawn by a seed: each request runs, or is refused by one sentence.

What ``pairs.py`` tries in order is tried here at random: odd sizes, one to five targets, one to
four photos, unknown depth ranges and orders, and a regression stage that leaves opacity, Gaussians
or depth unsaid. Anything but a whole render or a refusal is a defect: exit 1.

Run: ``python benchmarks/pairs_at_random.py --first 0 --count 60``.
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pairs import RUNS, Situation, Tiny, chosen, engine_of, rendered

from sphinx_framework.engine.engine import Engine
from sphinx_framework.registry import Registry
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import CoarseViews, Scene

# Odd ones are mostly refused: sides that all stages take come more often.
SIDES = (16, 48, 50, 64, 64, 64, 64, 96, 128)
UNSAID: tuple[tuple[str, ...], ...] = (
    (), ("opacity",), ("gaussians",), ("opacity", "gaussians", "depth", "input_depth"),
)  # fmt: skip
UNKNOWN: tuple[tuple[str, ...], ...] = (
    (), (), ("near", "far"), ("order",), ("near", "far", "order"), ("far",),
)  # fmt: skip


class Stripped:
    """A regression stage that does not say everything it knows."""

    def __init__(self, inner: Any, unsaid: tuple[str, ...]) -> None:
        self._inner, self._unsaid = inner, unsaid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def predict(self, scene: Scene, *memory: Any) -> CoarseViews:
        """What the stage predicts, without the fields that stay unsaid."""
        return replace(self._inner.predict(scene, *memory), **dict.fromkeys(self._unsaid))


@dataclass(frozen=True, slots=True)
class Case:
    """Two stages, what the first leaves unsaid, and a scene with the mode it is rendered in."""

    regression: str
    diffusion: str
    unsaid: tuple[str, ...]
    situation: Situation

    def __str__(self) -> str:
        told = f" without {', '.join(self.unsaid)}" if self.unsaid else ""
        on = f"{self.situation.name}, {self.situation.mode}"
        return f"{self.regression}{told} + {self.diffusion} on {on}"


def drawn(seed: int, regressions: list[str], diffusions: list[str]) -> Case:
    """The case of a seed, of stages among those named."""
    draw = random.Random(seed)
    regression, diffusion = draw.choice(regressions), draw.choice(diffusions)
    size, targets = (draw.choice(SIDES), draw.choice(SIDES)), draw.randint(1, 5)
    inputs, unknown = draw.randint(1, 4), draw.choice(UNKNOWN)

    def scene() -> Scene:
        return replace(fake_scene(targets, inputs, size, seed), **dict.fromkeys(unknown))

    name = f"{inputs} photos, {targets} targets of {size[0]}x{size[1]}"
    if unknown:
        name += f" (unknown: {', '.join(unknown)})"
    mode = draw.choice(("diffusion", "selective", "fine", "coarse"))
    return Case(regression, diffusion, draw.choice(UNSAID), Situation(name, scene, mode))


class Pairs:
    """Engines by the names of two stages; each is built once, its files in ``folder``."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry, self._tiny = registry, Tiny(folder)
        self._engines: dict[tuple[str, str], Engine] = {}

    def tried(self, case: Case) -> str:
        """What becomes of a case: "runs", "refused: why", or "FAILED: what"."""
        pair = (case.regression, case.diffusion)
        if pair not in self._engines:
            self._engines[pair] = engine_of(self._registry, self._tiny, *pair)
        engine = self._engines[pair]
        given = engine.components
        regression: Any = Stripped(given.regression, case.unsaid)
        engine.components = replace(given, regression=regression)
        try:
            return rendered(engine, case.situation)
        finally:
            engine.components = given


def is_sound(told: str) -> bool:
    """Whether a request ran whole, or was refused by one sentence."""
    return told == RUNS or (told.startswith("refused: ") and "\n" not in told)


def main(arguments: list[str] | None = None) -> int:
    """Try the cases of some seeds and print each; 1 when any is unsound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=60, help="how many seeds")
    parser.add_argument("--regression", nargs="*", help="names; default: all that can be tiny")
    parser.add_argument("--diffusion", nargs="*", help="names; default: all that can be tiny")
    options = parser.parse_args(arguments)
    registry = Registry.from_entry_points()
    regressions = chosen(registry, "regression", options.regression)
    diffusions = chosen(registry, "diffusion", options.diffusion)
    unsound = 0
    with tempfile.TemporaryDirectory() as folder:
        pairs = Pairs(registry, Path(folder))
        for seed in range(options.first, options.first + options.count):
            case, began = drawn(seed, regressions, diffusions), time.perf_counter()
            told = pairs.tried(case)
            unsound += not is_sound(told)
            seconds = time.perf_counter() - began
            sys.stdout.write(f"{seed}: {case}: {told} ({seconds:.1f} s)\n")
            sys.stdout.flush()
    sys.stdout.write(f"{options.count} cases, {unsound} unsound\n")
    return int(unsound > 0)


if __name__ == "__main__":
    sys.exit(main())
