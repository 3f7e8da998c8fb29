"""The stages' JSON as tables for ``docs/benchmarks.md``; a stage that was cut says so."""

import argparse
import json
from pathlib import Path
from typing import Any

from sphinx_framework.study.report.summary import markdown

STEP = ("step", "seconds", "peak_bytes", "tflop_per_second")
WALK = ("mode", "steps", "moves", "frame_steps", "seconds", "peak_bytes")


def cell(value: Any) -> str:
    """A figure of three digits, bytes and counts whole, what was not measured said so."""
    if value is None:
        return "not measured"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(told: dict[str, Any]) -> str:
    """One stage."""
    state = "" if told["complete"] else " (cut: not all rows)"
    heading = f"### {told['stage']} on {told['device']}{', tiny' if told['tiny'] else ''}{state}"
    rows = told["rows"]
    if not rows:
        return f"{heading}\n\nnothing measured\n"
    columns = next((c for c in (STEP, WALK) if set(c) <= rows[0].keys()), tuple(rows[0]))
    lines = [list(columns), *([cell(row.get(key)) for key in columns] for row in rows)]
    return f"{heading}\n\n{markdown(lines)}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    text = "\n".join(table(json.loads(file.read_text())) for file in sorted(out.glob("*.json")))
    (out / "tables.md").write_text(text)
    print(text)
