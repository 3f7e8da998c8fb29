"""Whole walks of a compiled full-size network by plan: dense, and what the method leaves of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from timing import peak_bytes, reset_peak

from sphinx_framework.energy.choose import choose_meter
from sphinx_framework.energy.meter import measure_energy
from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.scheduler import answered
from sphinx_framework.executors.stopwatch import Stopwatch
from sphinx_framework.policy.plan import PlanConfig, plan
from sphinx_framework.policy.schedule import Mode, Schedule
from sphinx_framework.study.step_costs import Subject

STEPS = 50
# Mode and stride: what the network takes in all, and what the method saves on top.
COMPILED: tuple[tuple[Mode, int], ...] = (("diffusion", 1), ("fine", 5))


def walked(
    name: str, subject: Subject, plans: Sequence[tuple[Mode, int]], device: torch.device
) -> Iterator[dict[str, Any]]:
    """A row for every walk by these plans; one with numbers that are none says so.

    Autoencoder, regression and scores are not in them; frames start at 10 to 39 of 50.
    """
    meter = choose_meter("auto", device)
    for mode, stride in plans:
        schedule = _schedule(subject, mode, stride)
        loop = _loop(subject, schedule)
        reset_peak(device)
        watch = Stopwatch(device)
        with measure_energy(meter) as energy, watch.running():
            moves = list(answered(loop.run()))
        yield {
            "model": name,
            "mode": mode,
            "stride": stride,
            "moves": len(moves),
            "frame_steps": schedule.frame_steps,
            "seconds": watch.seconds,
            "peak_bytes": peak_bytes(device),
            "joules": energy.joules,
            "energy": energy.note,
            "finite": (finite := bool(torch.isfinite(loop.x).all())),
            **({} if finite else {"error": "NaN or infinity"}),
        }


def _schedule(subject: Subject, mode: Mode, stride: int) -> Schedule:
    """Targets start at drawn steps, the same in every mode; a quarter of each is refined."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(10, 40, (len(subject.targets),), generator=generator).tolist()
    starts: list[int | None] = [None] * subject.num_frames
    for frame, start in zip(subject.targets, drawn, strict=True):
        starts[frame] = 0 if mode == "diffusion" else start
    grid = [side // subject.model.tile for side in subject.x.shape[2:]]
    region = torch.zeros(subject.num_frames, *grid, dtype=torch.bool)
    region[list(subject.targets), : max(1, grid[0] // 2), : max(1, grid[1] // 2)] = True
    return plan(mode, starts, STEPS, PlanConfig(stride=stride, full_tail=0), region)


def _loop(subject: Subject, schedule: Schedule) -> Refinement:
    def noise(_: int = 0) -> torch.Tensor:
        return torch.randn(subject.x.shape, device=subject.x.device)

    return Refinement(
        model=subject.model,
        schedule=schedule,
        sampler=subject.condition.sampler,
        clean=subject.x,
        noise=noise(),
        condition=subject.condition,
        draw=noise,
    )
