"""What whole walks of the official pairs cost at official size, counted: nothing is computed.

    python benchmarks/counted_walks.py [--draws 200] [--quality 0.95]

Start steps are those of each pair's own rules, at quality ratios drawn uniformly from [0.6, 1.1];
real renders have other ratios. ``selective`` refines a quarter of every target, in one square.
Means over the draws: computed frames, operations (partial steps cost exactly their share, which
``counted.py`` checks), and both over 50 dense steps. ``--draws`` says how many requests.
"""

import argparse
from statistics import fmean

import torch
from full_size.counting import counted
from full_size.moves import moves
from full_size.subjects import SUBJECTS
from timed_requests import DrawnRatios

from sphinx_framework.config import PipelineConfig, load_config
from sphinx_framework.frame_plan import Walk
from sphinx_framework.policy.cost import region_fraction
from sphinx_framework.policy.plan import plan
from sphinx_framework.policy.schedule import Full, Mode, Schedule
from sphinx_framework.protocols import StepPolicy
from sphinx_framework.registry import Registry
from sphinx_framework.study.report.summary import markdown
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import QualityReport

PAIRS = {"seva": ("seva-mvsplat", 0), "viewcrafter": ("viewcrafter-dust3r", None)}  # and cluster
INPUTS, TERA = 2, 1e12
FEW = 3
# What is asked: a name, the mode, and in how many steps every frame covers what remains.
WALKS: tuple[tuple[str, Mode, int | None], ...] = (
    ("diffusion", "diffusion", None),
    ("coarse", "coarse", None),
    ("fine", "fine", None),
    ("selective, a quarter", "selective", None),
    (f"fine, {FEW} steps each", "fine", FEW),
)


def share(schedule: Schedule) -> float:
    """Operations of a walk in full steps: whole clips, frames, or tiles of frames."""
    total = 0.0
    for action in schedule.actions:
        part = 1.0 if isinstance(action, Full) else len(action.frames) / schedule.num_frames
        sparse = not isinstance(action, Full) and action.sparse
        total += part * (region_fraction(schedule, action) if sparse else 1.0)
    return total


def walked(
    config: PipelineConfig, policy: StepPolicy, frames: int, mode: Mode, quality: float
) -> Schedule:
    """One request's walk: starts by the policy."""
    targets = frames - INPUTS
    report = QualityReport(
        **{name: torch.ones(targets) for name in ("score", "reference", "ratio")},
        input_score=torch.ones(INPUTS),
    )
    scene = fake_scene(targets=targets, inputs=INPUTS)
    told = policy.start_steps(report, scene, quality, config.num_steps)
    region = torch.zeros(frames, 8, 8, dtype=torch.bool)
    region[1:-1, :4, :4] = True
    return plan(
        mode, (None, *told.steps, None), config.num_steps, config.plan, region,
        walks=(Walk(), *(told.walks or (Walk(),) * targets), Walk()),
    )  # fmt: skip


def table(name: str, quality: float, draws: int) -> str:
    """A row for every kind of walk of a pair."""
    pair, cluster = PAIRS[name]
    fixed = [] if cluster is None else [f"steps.cluster={cluster}"]
    config = load_config(pair, fixed)
    made = SUBJECTS[name](torch.device("meta"))
    whole = counted(next(iter(moves(made.subject, (), ()))).call).flops / TERA
    registry, used = Registry.from_entry_points(), config.pipeline["steps"]
    options = registry.options("steps", used.use, used.options, pair)
    policy = registry.build("steps", used.use, options, torch.device("cpu"))
    frames = made.subject.num_frames
    rows = [["walk", "frame steps", "TFLOP", "of dense"]]
    dense = 0.0
    for said, mode, few in WALKS:
        walk = None if few is None else Walk(few)
        found = [
            walked(config, DrawnRatios(policy, seed, walk), frames, mode, quality)
            for seed in range(draws)
        ]
        shares = fmean(map(share, found))
        dense = dense or shares
        computed = fmean(schedule.frame_steps for schedule in found)
        rows.append([said, f"{computed:.0f}", f"{shares * whole:.0f}", f"{shares / dense:.3f}"])
    return f"{pair}, quality {quality:g}, {draws} requests\n\n{markdown(rows)}"


def main() -> None:
    """Print a table per pair."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--quality", type=float, default=0.95)
    asked = parser.parse_args()
    for name in PAIRS:
        print(table(name, asked.quality, asked.draws))


if __name__ == "__main__":
    main()
