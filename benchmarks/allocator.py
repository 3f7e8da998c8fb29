"""What glibc's allocator costs a denoising step, and what keeping freed memory saves.

    python benchmarks/allocator.py [--turns 5] [--rounds 3]

Each setting runs in processes of its own, in turn: processor seconds of a step (user and system),
page faults, and the largest resident size. Processor seconds, because other work on a machine
moves the clock and not them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import torch
from full_size.moves import moves
from full_size.subjects import SUBJECTS

from sphinx_framework.allocator import SWITCH, keep_freed_memory
from sphinx_framework.study.report.summary import markdown

SETTINGS = {"as glibc comes": "system", "freed memory kept": ""}
# lite at its own size; the official networks' blocks small, at enough frames for large tensors.
MODELS = ("lite", "seva", "viewcrafter")


def measured(model: str, turns: int) -> dict[str, dict[str, float]]:
    """Seconds, faults and megabytes by move, of this process."""
    keep_freed_memory()
    torch.set_num_threads(1)
    made = SUBJECTS[model](torch.device("cpu"), **SIZES[model])
    told = {}
    for move in moves(made.subject, (3,), (0.25,)):
        with torch.no_grad():
            move.call()
            before = resource.getrusage(resource.RUSAGE_SELF)
            for _ in range(turns):
                move.call()
        after = resource.getrusage(resource.RUSAGE_SELF)
        told[move.name] = {
            "user": (after.ru_utime - before.ru_utime) / turns,
            "system": (after.ru_stime - before.ru_stime) / turns,
            "faults": (after.ru_minflt - before.ru_minflt) / turns,
            "largest": after.ru_maxrss / 1024,
        }
    return told


SIZES = {
    "lite": {},
    "seva": {"tiny": True, "latents": (21, 24, 24)},
    "viewcrafter": {"tiny": True, "latents": (16, 24, 24)},
}


def main() -> None:
    """Print a row a move."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--inside", choices=MODELS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(measured(asked.inside, asked.turns)))
        return
    heads = ["model", "step", "seconds", "kept: seconds", "kept over", "faults", "kept: faults"]
    lines = [[*heads, "MB at most", "kept: MB"]]
    for model in asked.models:
        best = {setting: _least(model, setting, asked) for setting in SETTINGS}
        plain, kept = best.values()
        for name, row in plain.items():
            seconds = [r["user"] + r["system"] for r in (row, kept[name])]
            lines.append(
                [
                    model, name, *(f"{s:.3f}" for s in seconds), f"{seconds[1] / seconds[0]:.2f}",
                    *(f"{r['faults']:.0f}" for r in (row, kept[name])),
                    *(f"{r['largest']:.0f}" for r in (row, kept[name])),
                ]
            )  # fmt: skip
    print(markdown(lines))


def _least(model: str, setting: str, asked: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The round with the fewest seconds, by move."""
    rounds = []
    for _ in range(asked.rounds):
        ended = subprocess.run(
            [sys.executable, str(Path(__file__)), "--inside", model, "--turns", str(asked.turns)],
            env=os.environ | {SWITCH: SETTINGS[setting]},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        rounds.append(json.loads(ended.stdout))
    return {
        name: min((r[name] for r in rounds), key=lambda row: row["user"] + row["system"])
        for name in rounds[0]
    }


if __name__ == "__main__":
    main()
