"""What ``render`` and ``plan`` print: tables of targets, seconds, notes; fits 80 columns."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sphinx_framework.engine.result import Report
from sphinx_framework.policy.schedule import METHOD_MODES

SERVED = {"regression": "as rendered", "refined": "refined"}
RATIO = "ratio: the render's score over the photos' around it (1: as good)"
QUALITY = {
    "paper": "quality: the share of full diffusion's score to keep; 1 is full diffusion",
    "truth": "quality: the share of the best plan's likeness to the truth, as calibrated, to keep",
}


def summary(console: Console, report: Report, out: Path) -> None:
    """Print what was decided for every target, what it took, and where the files are."""
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
        title=f"{escape(report.scene)}: {report.mode}, quality {report.quality_target:g}",
    )
    masked = report.mode == "selective"  # the other modes refine whole frames
    marked = ["marked"] if masked else []
    for name in ("target", "ratio", "from step", *marked, "steps run", "achieved", "served"):
        table.add_column(name, justify="left" if name == "served" else "right")
    for frame in report.frames:
        table.add_row(
            str(frame.index),
            f"{frame.ratio:.3f}",
            "-" if frame.start_step == report.num_steps else str(frame.start_step),
            *([f"{frame.mask_fraction:.0%}"] if masked else []),
            str(frame.steps_run),
            f"{frame.achieved_ratio:.3f}",
            SERVED[frame.served] + (", missed" if frame.missed else ""),
        )
    console.print(table)
    console.print(f"{RATIO}; achieved: the result's", highlight=False)
    if report.mode in METHOD_MODES:
        console.print(QUALITY[report.objective], highlight=False)
    counts, seconds = report.counts, report.seconds
    console.print(
        f"{counts.full_steps} full and {counts.partial_steps} partial steps, "
        f"{counts.frame_steps / max(1, counts.frame_steps_dense):.0%} of the frame steps of dense "
        f"diffusion"
    )
    console.print(
        f"{seconds.total:.2f} s: load {seconds.load:.2f}, regression {seconds.regression:.2f}, "
        f"quality {seconds.quality:.2f}, plan {seconds.plan:.2f}, encode {seconds.encode:.2f}, "
        f"denoise {seconds.denoise:.2f}, decode {seconds.decode:.2f}, write {seconds.write:.2f}"
    )
    if report.predicted_seconds is not None:
        taken = seconds.total - seconds.load - seconds.write
        console.print(f"predicted {report.predicted_seconds:.2f} s, taken {taken:.2f} s")
    if report.energy_joules is not None:
        console.print(f"{report.energy_joules:.1f} J: {escape(report.energy_note)}")
    missed = sum(frame.missed for frame in report.frames)
    if missed:
        console.print(f"{missed} of {len(report.frames)} targets missed: {_missed(report)}")
    _notes(console, report.licences, report.notes, report.warnings)
    console.print(
        f"look at {escape(str(out / 'contact_sheet.png'))} (every stage side by side), "
        f"{escape(str(out / 'frames'))}, {escape(str(out / 'video.mp4'))}, "
        f"{escape(str(out / 'report.json'))}",
        soft_wrap=True,
    )


def _missed(report: Report) -> str:
    """What missed means in this report."""
    lost = "refinement lost what the photos prove of them, so they are served as rendered"
    if report.objective == "truth":
        return lost
    known = all(frame.full_ratio is not None for frame in report.frames)
    whole = "what full diffusion reaches on such frames" if known else "the photos' score"
    short = f"they end below {report.quality_target:g} of {whole}"
    withheld = any(f.missed and f.served == "regression" and f.steps_run for f in report.frames)
    return f"{short}, or {lost}" if withheld else short


def plan_text(console: Console, data: dict[str, Any]) -> None:
    """Print a plan: what every target would get, and what that is predicted to take."""
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
        title=f"{escape(data['scene'])}: {data['mode']}, quality {data['quality_target']:g}",
    )
    masked = data["mode"] == "selective"
    marked = ["marked"] if masked else []
    for name in ("target", "score", "reference", "ratio", "from step", *marked):
        table.add_column(name, justify="right")
    for frame in data["frames"]:
        served = frame["start_step"] == data["num_steps"]
        table.add_row(
            str(frame["index"]),
            f"{frame['score']:.3f}",
            f"{frame['reference']:.3f}",
            f"{frame['ratio']:.3f}",
            "as rendered" if served else str(frame["start_step"]),
            *([f"{frame['mask_fraction']:.0%}"] if masked else []),
        )
    console.print(table)
    console.print(RATIO, highlight=False)
    console.print("schedule (F full, D full uncached, P frames, S tiles; slots in brackets):")
    console.print(data["schedule"], highlight=False, markup=False)
    console.print(
        f"{data['frame_steps']} of {data['frame_steps_dense']} frame steps of dense diffusion"
    )
    denoise, whole = data["predicted_denoise_seconds"], data["predicted_seconds"]
    told = "no prediction"
    if denoise is not None:
        told = f"predicted: {denoise:.2f} s of denoising"
        told += ", other stages not measured" if whole is None else f", {whole:.2f} s in all"
    console.print(f"{told} (cost model: {escape(data['cost_model'])})")
    for entry in data["licences"]:
        weights = f", weights {entry['weights_licence']}" if entry["weights_licence"] else ""
        console.print(
            f"{entry['role']}: {entry['component']} ({entry['distribution']}), licence "
            f"{entry['licence']}{weights}"
        )
    _notes(console, data["licences"], data["notes"], data["warnings"])


def _notes(
    console: Console, licences: list[dict[str, Any]], notes: list[str], warnings: list[str]
) -> None:
    for note in notes:
        console.print(f"note: {escape(note)}")
    restricted = [entry["component"] for entry in licences if entry["non_commercial"]]
    if restricted:
        console.print(f"non-commercial use only, because of: {', '.join(sorted(set(restricted)))}")
    for warning in warnings:
        console.print(f"warning: {escape(warning)}")
