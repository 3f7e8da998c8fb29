"""How long OpenMP's threads spin while they wait, and what that does to a step of lite.

    python benchmarks/short_waits.py [--turns 20] [--rounds 3] [--busy 0 1 2]

Each setting runs in processes of its own, in turn, on two threads, beside so many processes that
compute all the time: seconds of a full step by the clock, the median of a process, and the least
and the largest of its rounds. "as libgomp comes" spins for milliseconds, "asleep at once"
(``OMP_WAIT_POLICY=passive``) not at all; the third is what the command line sets.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from sphinx_framework.short_waits import SETTINGS, TURNS
from sphinx_framework.study.report.summary import markdown

WAYS = {
    "as libgomp comes": {},
    "asleep at once": {"OMP_WAIT_POLICY": "passive"},
    f"{TURNS} turns (ours)": {"GOMP_SPINCOUNT": TURNS},
}
THREADS = 2


def measured(turns: int) -> float:
    """Seconds of a full step of lite, in this process, which was started with a setting."""
    import torch
    from full_size.moves import moves
    from full_size.subjects import SUBJECTS

    torch.set_num_threads(THREADS)
    made = SUBJECTS["lite"](torch.device("cpu"))
    full = next(iter(moves(made.subject, (3,), ())))
    took = []
    with torch.no_grad():
        full.call()
        for _ in range(turns):
            began = time.perf_counter()
            full.call()
            took.append(time.perf_counter() - began)
    return median(took)


@contextmanager
def beside(count: int) -> Iterator[None]:
    """So many other processes that compute all the time."""
    others = [multiprocessing.Process(target=_compute, daemon=True) for _ in range(count)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def _compute() -> None:
    while True:
        sum(range(10_000))


def started(setting: dict[str, str], turns: int) -> float:
    """:func:`measured`, in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    clean.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, __file__, "--own", "--turns", str(turns)]
    answer = subprocess.run(command, env=clean | setting, check=True, capture_output=True)
    return float(json.loads(answer.stdout.splitlines()[-1]))


def main() -> None:
    """Print a row a number of other processes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own:
        print(json.dumps(measured(arguments.turns)))
        return
    lines = [["beside", *(f"{name}, ms" for name in WAYS)]]
    for count in arguments.busy:
        found: dict[str, list[float]] = {name: [] for name in WAYS}
        with beside(count):
            for _ in range(arguments.rounds):
                for name, setting in WAYS.items():
                    found[name].append(1e3 * started(setting, arguments.turns))
        cells = [f"{median(v):.0f} ({min(v):.0f} to {max(v):.0f})" for v in found.values()]
        lines.append([f"{count} busy", *cells])
    print(markdown(lines))


if __name__ == "__main__":
    main()
