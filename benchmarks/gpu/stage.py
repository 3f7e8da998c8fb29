"""One stage of ``run.sh``, which sets its paths: measures, and writes JSON anew after every row."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from checks import environment, equivalence, gpu_tests, splatting
from full_size.counting import counted
from full_size.moves import COUNTS, SHARES, moves
from full_size.subjects import SUBJECTS
from graphs import graphs
from timing import timed
from walks import COMPILED, walked
from whole_requests import requests

from sphinx_framework.executors.compiling import compile_networks
from sphinx_framework.executors.kernels import fast_kernels

Rows = Iterator[dict[str, Any]]


def steps(name: str, device: torch.device, *, tiny: bool, compiled: bool = False) -> Rows:
    """Every move: seconds, peak memory, achieved operations a second.

    A move that fails says so in its row, and the others are measured all the same. With the
    compiled network whole walks, too.
    """
    made = SUBJECTS[name](device, tiny=tiny)
    subject = made.subject
    if compiled:
        # On a CPU only traced, to rehearse. A call that is not compiled raises, and is not timed.
        compile_networks([made.network], backend="inductor" if device.type == "cuda" else "eager")
    imagined = SUBJECTS[name](torch.device("meta"), tiny=tiny).subject
    whole = counted(next(iter(moves(imagined, (), ()))).call).flops
    counts, shares = ((3,), (0.25,)) if tiny else (COUNTS, SHARES)
    for move in moves(subject, counts, shares, tiles=not (tiny and compiled)):
        if compiled and move.name.endswith("one guidance branch"):
            continue  # how often it is compiled has not been counted
        row = {"model": name, "precision": made.precision, "compiled": compiled}
        row |= {"kind": move.kind, "step": move.name, "share": move.share}
        try:
            seconds, peak = timed(move.call, device)
        except Exception as error:
            yield row | {"seconds": None, "error": f"{type(error).__name__}: {error}"[:500]}
            continue
        rate = whole * move.share / seconds / 1e12
        yield row | {"seconds": seconds, "peak_bytes": peak, "tflop_per_second": rate}
    if compiled:
        yield from walked(name, subject, COMPILED[1:] if tiny else COMPILED, device)


STAGES: dict[str, Callable[..., Rows]] = {
    "environment": environment,
    "gpu-tests": gpu_tests,
    "splatting": splatting,
    "equivalence": equivalence,
    **{f"steps-{name}": partial(steps, name) for name in ("seva", "viewcrafter")},
    **{f"requests-{name}": partial(requests, name) for name in ("seva", "viewcrafter")},
    **{f"graphs-{name}": partial(graphs, name) for name in ("seva", "viewcrafter")},
    **{f"compiled-{name}": partial(steps, name, compiled=True) for name in ("seva", "viewcrafter")},
}


def run(stage: str, out: Path, device: torch.device, *, tiny: bool) -> bool:
    """Run a stage unless it is complete; its file is whole after every row.

    Returns whether it is complete. A stage that raises keeps its rows and says what happened.
    """
    file = out / f"{stage}.json"
    asked = {"stage": stage, "device": str(device), "tiny": tiny}
    if file.exists():
        before = json.loads(file.read_text())
        if before["complete"] and before | asked == before:
            print(f"{stage} is complete")
            return True
    out.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = asked | {"complete": False, "rows": []}
    _write(file, told)
    try:
        with fast_kernels(device):
            for row in STAGES[stage](device, tiny=tiny):
                told["rows"].append(row)
                _write(file, told)
                print(json.dumps(row), flush=True)
    except Exception as error:
        _write(file, told | {"error": f"{type(error).__name__}: {error}"[:2000]})
        print(f"{stage}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    failed = any(row.get("error") for row in told["rows"])
    _write(file, told | {"complete": not failed})
    return not failed


def _write(file: Path, told: dict[str, Any]) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps(told, indent=1))
    part.replace(file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    complete = run(asked.stage, asked.out, torch.device(asked.device), tiny=asked.tiny)
    sys.exit(0 if complete else 1)
