"""One stage of ``run.sh``: measures, and writes its JSON anew after every row."""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from full_size.moves import COUNTS, SHARES, moves
from full_size.subjects import SUBJECTS, FullSize

from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.scheduler import answered
from sphinx_framework.executors.kernels import fast_kernels
from sphinx_framework.executors.stopwatch import Stopwatch
from sphinx_framework.policy.plan import PlanConfig, plan
from sphinx_framework.study.counting import counted
from sphinx_framework.testing.oracle import fresh_cache_errors

Rows = Iterator[dict[str, Any]]
WARM_UP, TURNS = 1, 3
MODES = ("diffusion", "coarse", "fine", "selective")


def environment(device: torch.device, *, tiny: bool) -> Rows:
    """What was measured on."""
    told: dict[str, Any] = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": str(device),
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        told |= {
            "card": card.name,
            "memory_gb": card.total_memory / 1e9,
            "capability": list(torch.cuda.get_device_capability(device)),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    yield told


def equivalence(device: torch.device, *, tiny: bool) -> Rows:
    """The fresh-cache law on the device, at a small size in float32."""
    for name, make in SUBJECTS.items():
        subject = make(device, tiny=True).subject
        frames, tile = len(subject.x), subject.model.tile
        active = torch.zeros(frames, *(s // tile for s in subject.x.shape[2:]), dtype=torch.bool)
        active[1, 0, 1] = active[2, 1, 0] = True
        with torch.no_grad():
            errors = fresh_cache_errors(
                subject.model, subject.x, subject.step, subject.condition,
                frames=[1, frames - 2], tiles=active,
            )  # fmt: skip
        yield {"model": name, "relative_errors": errors}


def steps(name: str, device: torch.device, *, tiny: bool, compiled: bool = False) -> Rows:
    """Every move: seconds, peak memory, achieved operations a second."""
    made = SUBJECTS[name](device, tiny=tiny)
    subject = made.subject
    if compiled:
        subject = replace(subject, model=_compiled(made, device))
    whole: int | None = None
    for move in moves(subject, COUNTS, SHARES):
        if whole is None:
            imagined = SUBJECTS[name](torch.device("meta"), tiny=tiny).subject
            whole = counted(next(iter(moves(imagined, (), ()))).call).flops
        seconds, peak = _timed(move.call, device)
        row = {"model": name, "precision": made.precision, "compiled": compiled}
        row |= {"kind": move.kind, "step": move.name, "share": move.share, "seconds": seconds}
        yield row | {
            "peak_bytes": peak,
            "tflop_per_second": whole * move.share / seconds / 1e12,
        }


def walks(name: str, device: torch.device, *, tiny: bool) -> Rows:
    """Whole denoising walks by plan; autoencoder, regression and scores are not in them."""
    made = SUBJECTS[name](device, tiny=tiny)
    subject, sampler = made.subject, made.subject.condition.sampler
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(10, 40, (len(subject.targets),), generator=generator).tolist()
    starts: list[int | None] = [None] * subject.num_frames
    for frame, start in zip(subject.targets, drawn, strict=True):
        starts[frame] = start
    grid = [side // subject.model.tile for side in subject.x.shape[2:]]
    region = torch.zeros(subject.num_frames, *grid, dtype=torch.bool)
    region[list(subject.targets), : max(1, grid[0] // 2), : max(1, grid[1] // 2)] = True
    for mode in MODES:
        for strides, stride in (("every step", 1), ("every fifth", 5)):
            if tiny and stride == 1 and mode != "selective":
                continue
            asked = [None if s is None else 0 for s in starts] if mode == "diffusion" else starts
            config = PlanConfig(stride=1 if mode == "diffusion" else stride, full_tail=0)
            if mode == "diffusion" and stride != 1:
                continue
            schedule = plan(mode, asked, 50, config, region)  # type: ignore[arg-type]
            loop = Refinement(
                model=subject.model,  # type: ignore[arg-type]
                schedule=schedule,
                sampler=sampler,
                clean=subject.x,
                noise=torch.randn(subject.x.shape, device=device),
                condition=subject.condition,
                draw=lambda step: torch.randn(subject.x.shape, device=device),
            )
            _reset_peak(device)
            watch = Stopwatch(device)
            with watch.running():
                done = list(answered(loop.run()))
            row = {"model": name, "mode": mode, "steps": strides, "moves": len(done)}
            row |= {"seconds": watch.seconds, "peak_bytes": _peak(device)}
            yield row | {"frame_steps": schedule.frame_steps, "finite": _finite(loop.x)}


def _compiled(made: FullSize, device: torch.device) -> Any:
    """The model with its ``denoise`` compiled; on a CPU only traced, to rehearse."""
    plain = made.subject.model.denoise

    def denoise(x: Any, step: int, condition: Any, ops: Any) -> Any:
        return plain(x, step, condition, ops)

    backend = "inductor" if device.type == "cuda" else "eager"
    return replace(made.subject.model, denoise=torch.compile(denoise, backend=backend))


@torch.no_grad()
def _timed(call: Callable[[], Any], device: torch.device) -> tuple[float, int | None]:
    """Least seconds of a few turns after a warm-up, and peak bytes on the device."""
    for _ in range(WARM_UP):
        call()
    _reset_peak(device)
    times = []
    for _ in range(TURNS):
        watch = Stopwatch(device)
        with watch.running():
            call()
        times.append(watch.seconds)
    return min(times), _peak(device)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def _finite(x: torch.Tensor) -> bool:
    return bool(torch.isfinite(x).all())


STAGES: dict[str, Callable[..., Rows]] = {
    "environment": environment,
    "equivalence": equivalence,
    "steps-seva": lambda device, tiny: steps("seva", device, tiny=tiny),
    "steps-viewcrafter": lambda device, tiny: steps("viewcrafter", device, tiny=tiny),
    "walks-seva": lambda device, tiny: walks("seva", device, tiny=tiny),
    "walks-viewcrafter": lambda device, tiny: walks("viewcrafter", device, tiny=tiny),
    "compiled-seva": lambda device, tiny: steps("seva", device, tiny=tiny, compiled=True),
    "compiled-viewcrafter": lambda device, tiny: steps(
        "viewcrafter", device, tiny=tiny, compiled=True
    ),
}


def run(stage: str, out: Path, device: torch.device, *, tiny: bool) -> None:
    """Run a stage unless it is complete; its file is whole after every row."""
    file = out / f"{stage}.json"
    if file.exists() and json.loads(file.read_text())["complete"]:
        print(f"{stage} is complete")
        return
    out.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {"stage": stage, "device": str(device), "tiny": tiny}
    told |= {"complete": False, "rows": []}
    _write(file, told)
    with fast_kernels(device):
        for row in STAGES[stage](device, tiny=tiny):
            told["rows"].append(row)
            _write(file, told)
            print(json.dumps(row), flush=True)
    _write(file, told | {"complete": True})


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
    arguments = parser.parse_args()
    run(arguments.stage, arguments.out, torch.device(arguments.device), tiny=arguments.tiny)
