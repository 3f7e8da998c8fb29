"""The stages' JSON as tables for ``docs/benchmarks.md``; a stage that was cut says so."""

import argparse
import json
from pathlib import Path
from typing import Any

NOT_MEASURED = "not measured"
STEP = ("step", "seconds", "of_full", "share", "peak_bytes", "tflop_per_second", "of_product")
REQUEST = ("request", "seconds", "of_dense", "denoise", "of_denoise", "frame_steps")
REQUEST += ("peak_bytes", "joules")
WALK = ("mode", "stride", "moves", "frame_steps", "seconds", "of_dense", "peak_bytes", "joules")
KINDS: dict[str | None, tuple[str, ...]] = {"step": STEP, "request": REQUEST, "mode": WALK}


def cell(value: Any) -> str:
    """A figure of three digits, bytes and counts whole, what was not measured said so."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def ratio(part: float | None, whole: float | None) -> float | None:
    """A part of what was measured with it."""
    return None if part is None or not whole else part / whole


def completed(rows: list[dict[str, Any]], product: float | None) -> list[dict[str, Any]]:
    """Rows with what follows from them: shares of the full step, the dense walk, the product."""
    seconds = {_name(row): row.get("seconds") for row in reversed(rows)}
    denoising = {_name(row): row.get("denoise") for row in rows}
    return [
        row
        | {
            "of_full": ratio(row.get("seconds"), seconds.get("full")),
            "of_dense": ratio(row.get("seconds"), seconds.get("diffusion")),
            "of_denoise": ratio(row.get("denoise"), denoising.get("diffusion")),
            "of_product": ratio(row.get("tflop_per_second"), product),
        }
        for row in rows
    ]


def table(told: dict[str, Any], product: float | None = None) -> str:
    """One stage; ``product``: TFLOP a second that a large product reached on the machine."""
    state = "" if told["complete"] else " (cut: not all rows)"
    lines = [f"### {told['stage']} on {told['device']}{', tiny' if told['tiny'] else ''}{state}"]
    if "error" in told:
        lines += ["", told["error"]]
    rows = told["rows"]
    if not rows:
        return "\n".join([*lines, "", "nothing measured", ""])
    for kind in (*KINDS, None):  # steps, requests and walks are tables of their own
        lines += _of_one_kind([row for row in rows if _kind(row) == kind], told["stage"], product)
    return "\n".join([*lines, ""])


def _kind(row: dict[str, Any]) -> str | None:
    return next((key for key in KINDS if key in row), None)


def _name(row: dict[str, Any]) -> Any:
    return next((row[key] for key in (*KINDS, "model") if row.get(key)), None)


def _of_one_kind(rows: list[dict[str, Any]], stage: str, product: float | None) -> list[str]:
    if not rows:
        return []
    known = {key: None for row in rows for key in row}
    columns = (KINDS | {None: tuple(known)})[_kind(rows[0])]
    rows = completed(rows, product)
    if stage == "environment":
        rows, columns = [{"of": key, "is": rows[-1].get(key)} for key in columns], ("of", "is")
    lines = ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(cell(row.get(key)) for key in columns)} |" for row in rows]
    named = [(_name(row) or stage, row) for row in rows]
    return lines + [f"\n{name}: {row['error']}" for name, row in named if row.get("error")]


def tables(out: Path) -> str:
    """All stages of a folder, the machine first."""
    told = [json.loads(file.read_text()) for file in sorted(out.glob("*.json"))]
    told.sort(key=lambda one: one["stage"] != "environment")
    machine = next((one["rows"][-1] for one in told if one["stage"] == "environment"), {})
    return "\n".join(table(one, machine.get("product_tflop_per_second")) for one in told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    (out / "tables.md").write_text(tables(out))
    print((out / "tables.md").read_text())
