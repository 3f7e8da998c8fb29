"""Is `selective` ever slower than `fine`? Paired times, beside those of `fine` against itself.

    python benchmarks/selective_against_fine.py --config lite --cost out/cost.toml

Per scene, `fine`, `selective` and `fine` once more take turns, in rotating order. The least time of
each counts: other load on a machine only adds to it. Printed are the mean and the worst ratio over
scenes, of `selective` over `fine` and of `fine` over itself, which is this measurement's own noise,
and how many scenes ran the same moves in both modes, so that only noise can tell them apart.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from time import perf_counter

from sphinx_framework.config import load_config, load_cost
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.report import device_name
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import Scene

TURNS: tuple[tuple[str, Mode], ...] = (
    ("fine", "fine"),
    ("selective", "selective"),
    ("again", "fine"),
)


def least_seconds(engine: Engine, scene: Scene, rounds: int) -> tuple[dict[str, float], bool]:
    """Least time of every turn over ``rounds``, after one uncounted round; and whether all turns
    ran the same moves.
    """
    least = dict.fromkeys((name for name, _ in TURNS), float("inf"))
    schedules = set()
    for number in range(rounds + 1):
        shift = number % len(TURNS)
        for name, mode in (*TURNS[shift:], *TURNS[:shift]):
            started = perf_counter()
            report = engine.render(scene, mode=mode).report
            if number:
                least[name] = min(least[name], perf_counter() - started)
            schedules.add(report.schedule)
    return least, len(schedules) == 1


def spread(rows: Sequence[Mapping[str, float]], name: str) -> dict[str, float]:
    """Mean and worst ratio of a turn to `fine` over scenes."""
    ratios = [row[name] / row["fine"] for row in rows]
    total = sum(row[name] for row in rows) / sum(row["fine"] for row in rows)
    return {"mean": round(total, 4), "worst": round(max(ratios), 4)}


def main() -> None:
    """Time all scenes, print a summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="lite")
    parser.add_argument("--cost", help="cost table of this machine, from sphinx-nvs measure")
    parser.add_argument("--scenes", default="procedural:report/{}", help="{} is the number")
    parser.add_argument("--first", type=int, default=40)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    if arguments.cost:
        config = config.model_copy(update={"cost": load_cost(arguments.cost)})
    engine = Engine.from_config(config, device="cpu")
    rows, same = [], 0
    for number in range(arguments.first, arguments.first + arguments.count):
        scene = load_scene(arguments.scenes.format(number), size=config.size)
        least, alike = least_seconds(engine, scene, arguments.rounds)
        rows.append(least)
        same += alike
    summary = {
        "machine": device_name(engine.device),
        "scenes": len(rows),
        "rounds": arguments.rounds,
        "same_moves": same,
        "selective_over_fine": spread(rows, "selective"),
        "fine_over_itself": spread(rows, "again"),
    }
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
