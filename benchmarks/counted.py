"""What a step costs at official size: counted on the meta device, nothing is computed.

    python benchmarks/counted.py [--models seva viewcrafter ...] [--json out/counted.json]

Per network one line of what it holds, and one row a move: TFLOP, GB of operator traffic, both over
those of a full step, the limit of the traffic, operators, and GB of activations alive at once.
``full_size/counting.py`` says what is counted. A move beyond its limit ends with 1.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from full_size.counting import Counts, counted, parameter_bytes
from full_size.moves import COUNTS, SHARES, moves
from full_size.subjects import SUBJECTS, FullSize

from sphinx_framework.study.report.summary import markdown

GIGA, TERA = 1e9, 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``slope * share + offset`` of a full step's traffic, for frames and for tiles.

    fixed: share of a full step's operations that every step makes, whatever it holds.
    """

    frames: tuple[float, float] = (1.1, 0.03)
    tiles: tuple[float, float] = (1.3, 0.05)
    fixed: float = 0.0

    def of(self, kind: str, share: float) -> float | None:
        """The limit of a move, if it has one."""
        if kind not in ("frames", "tiles"):
            return None
        slope, offset = self.frames if kind == "frames" else self.tiles
        return slope * share + offset


# The embedded model is so small that its weights are a twentieth of a step's traffic, and a tile's
# halo larger than the tile on its coarse levels. VideoScene updates a text beside the frames,
# 226 of 17776 tokens, and reads the keys of the whole clip in every layer.
LIMITS = {
    "lite": Limits(frames=(1.1, 0.09), tiles=(2.3, 0.09)),
    "videoscene": Limits(frames=(1.0, 0.14), tiles=(1.0, 0.14), fixed=226 / 17776),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One move: what it costs, and over a full step."""

    kind: str
    name: str
    share: float
    counts: Counts
    flops_of_full: float
    traffic_of_full: float
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One network at its size; a network that runs whole clips only has no latent cache."""

    model: str
    precision: str
    latents: tuple[int, ...]
    weight_bytes: int
    frames_cache_bytes: int | None
    tiles_cache_bytes: int | None
    rows: list[Row]

    def exceeded(self) -> list[str]:
        """Moves whose traffic or operations are beyond what their share allows."""
        beyond = []
        for row in self.rows:
            if row.limit is not None and row.traffic_of_full > row.limit:
                beyond.append(
                    f"{self.model}, {row.name}: traffic {row.traffic_of_full:.3f} of a full step, "
                    f"limit {row.limit:.3f}"
                )
            fixed = LIMITS.get(self.model, Limits()).fixed
            expected = fixed + (1 - fixed) * row.share
            if row.kind == "frames" and abs(row.flops_of_full / expected - 1) > 0.01:
                beyond.append(
                    f"{self.model}, {row.name}: operations {row.flops_of_full:.3f} of a full "
                    f"step, not {expected:.3f}"
                )
        return beyond


def table(
    name: str,
    counts: Sequence[int] = COUNTS,
    shares: Sequence[float] = SHARES,
    made: FullSize | None = None,
) -> Table:
    """Count the moves of a network on the meta device; ``made``: another one of its kind."""
    made = made or SUBJECTS[name](torch.device("meta"))
    limits = LIMITS.get(name, Limits())
    rows: list[Row] = []
    cached: list[int] = []
    first: Counts | None = None
    for move in moves(made.subject, counts, shares, skips=made.skips):
        cost = counted(move.call)
        first = first or cost
        if "recording" in move.name:
            cached.append(made.subject.cache.num_bytes)
        rows.append(
            Row(
                kind=move.kind,
                name=move.name,
                share=move.share,
                counts=cost,
                flops_of_full=cost.flops / first.flops,
                traffic_of_full=cost.traffic_bytes / first.traffic_bytes,
                limit=limits.of(move.kind, move.share),
            )
        )
    return Table(
        model=name,
        precision=made.precision,
        latents=tuple(made.subject.x.shape),
        weight_bytes=parameter_bytes(made.network),
        frames_cache_bytes=cached[0] if cached else None,
        tiles_cache_bytes=cached[-1] if cached else None,
        rows=rows,
    )


def told(counted_table: Table) -> str:
    """A heading line and a table in markdown."""
    rows, largest = counted_table.rows, counted_table.rows[0].counts.math_bytes
    frames, _, height, width = counted_table.latents
    cache = "no latent cache, because it runs whole clips only"
    of_frames, of_tiles = counted_table.frames_cache_bytes, counted_table.tiles_cache_bytes
    if of_frames is not None and of_tiles is not None:
        cache = f"latent cache {of_frames / GIGA:.2f} GB for frames and {of_tiles / GIGA:.2f} GB "
        cache += "for tiles"
    heading = (
        f"{counted_table.model}, {frames} frames of {height}x{width} latents, "
        f"{counted_table.precision}: weights {counted_table.weight_bytes / GIGA:.2f} GB, {cache}; "
        f"attention by the math kernel would take {largest / GIGA:.1f} GB at once."
    )
    lines = [["step", "TFLOP", "of full", "GB moved", "of full", "limit", "operators", "GB alive"]]
    for row in rows:
        counts = row.counts
        lines.append(
            [
                row.name,
                f"{counts.flops / TERA:.3g}",
                f"{row.flops_of_full:.3f}",
                f"{counts.traffic_bytes / GIGA:.3g}",
                f"{row.traffic_of_full:.3f}",
                "" if row.limit is None else f"{row.limit:.3f}",
                str(counts.operators),
                f"{counts.peak_bytes / GIGA:.2f}",
            ]
        )
    return f"{heading}\n\n{markdown(lines)}"


def main(argv: list[str] | None = None) -> int:
    """Print the tables; 1 when a move is beyond its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    tables = [table(name) for name in arguments.models]
    for one in tables:
        print(told(one))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps([asdict(one) for one in tables]))
    beyond = [line for one in tables for line in one.exceeded()]
    print("\n".join(beyond), file=sys.stderr, end="\n" if beyond else "")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
