"""Seconds and operations of a request over the number of photos, and of a second request.

Random weights at the official widths. A first request encodes m photos and renders one target; a
second one asks for another target of the same photos; the next adds a photo and asks for it again.
Seconds are processor time of the process, least of --repeat runs, so that other load on the machine
shows less.

Run: ``python plugins/efficient_lvsm/benchmarks/cost.py --size 128 --repeat 3``.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import Scene
from sphinx_framework_efficient_lvsm.config import EfficientLVSMConfig, NetworkConfig
from sphinx_framework_efficient_lvsm.model import EfficientLVSM

COUNTS = (2, 4, 8, 12, 16)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table; ``--json`` writes the rows too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    sizes = NetworkConfig(d=options.width, n_layer=options.layers)
    config = EfficientLVSMConfig(weights="random", network=sizes, short_side=None)
    model = EfficientLVSM(config, torch.device("cpu"))
    whole = fake_scene(2, max(options.counts) + 1, (options.size, options.size))
    model.predict(part(whole, 2, [0]))  # warm up
    rows = [row(model, whole, count, options.repeat) for count in options.counts]
    show(rows, linearity([r["photos"] for r in rows], [r["first"] for r in rows]))
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": rows, "threads": torch.get_num_threads()}))


def row(model: EfficientLVSM, whole: Scene, count: int, repeat: int) -> dict[str, float]:
    """One line of the table: three requests, each from the memory that the one before left."""
    requests = {
        "first": part(whole, count, [0]),
        "second": part(whole, count, [1]),
        "photo_more": part(whole, count + 1, [1]),
    }
    seconds = {name: float("inf") for name in requests}
    for _ in range(repeat):
        model.memory.clear()
        for name, scene in requests.items():
            seconds[name] = min(seconds[name], timed(partial(model.predict, scene)))
    model.memory.clear()
    work = {
        f"{name}_gflop": counted(partial(model.predict, scene)) for name, scene in requests.items()
    }
    kept = model.memory.nbytes
    return {"photos": count, **seconds, **work, "kept_bytes": kept}


def part(scene: Scene, inputs: int, targets: list[int]) -> Scene:
    """The first photos and the chosen targets."""
    return Scene(
        images=scene.images[:inputs],
        inputs=scene.inputs[slice(inputs)],
        targets=scene.targets[targets],
    )


def timed(call: Callable[[], object]) -> float:
    """Processor seconds of one call, over all threads."""
    start = process_time()
    call()
    return process_time() - start


def counted(call: Callable[[], object]) -> float:
    """10^9 operations of one call; the counter needs attention by its formula."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def linearity(counts: list[float], seconds: list[float]) -> float:
    """Share of the variance that a straight line explains (R squared)."""
    if len(counts) < 3:
        return float("nan")
    pair = torch.tensor([counts, seconds], dtype=torch.float64)
    return float(torch.corrcoef(pair)[0, 1] ** 2)


def show(rows: list[dict[str, float]], straight: float) -> None:
    """Print the table in Markdown."""
    lines = [
        "| photos | first, s | GFLOP | other target, s | of the first | GFLOP of the first "
        "| photo more, s | of the first | kept, MB |",
        "|" + "---|" * 9,
    ]
    lines += [
        f"| {r['photos']} | {r['first']:.2f} | {r['first_gflop']:.1f} | {r['second']:.2f} "
        f"| {r['second'] / r['first']:.3f} | {r['second_gflop'] / r['first_gflop']:.3f} "
        f"| {r['photo_more']:.2f} | {r['photo_more'] / r['first']:.3f} "
        f"| {r['kept_bytes'] / 1e6:.1f} |"
        for r in rows
    ]
    lines.append(f"\nA straight line explains {100 * straight:.2f} % of the first requests' times.")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
