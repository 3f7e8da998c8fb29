"""Arguments of ``calibrate``, ``evaluate`` and ``sweep`` (torch-free)."""

import argparse
from collections.abc import Callable

Add = Callable[[str, str, str], argparse.ArgumentParser]
SCENES_HELP = (
    "scene folders, folders of scene folders, procedural:report/0-9, or with --index a folder of "
    ".torch chunks or of scene folders"
)


def add_study_commands(add: Add) -> None:
    """Declare the three commands; ``add(name, function, summary)`` makes one."""
    _calibrate(add("calibrate", "calibrate:calibrate", "fit the rules to scenes"))
    _evaluate(add("evaluate", "evaluate:evaluate_command", "compare with baselines"))
    _sweep(add("sweep", "sweep:sweep", "the trade-off over quality, mode and further factors"))


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", required=True, metavar="NAME|TOML")
    command.add_argument("--scenes", required=True, nargs="+", metavar="DIR", help=SCENES_HELP)
    command.add_argument(
        "--index", metavar="JSON", help="evaluation index: scene -> context and target frames"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise")
    command.add_argument("--set", action="append", default=[], metavar="A.B=V", dest="overrides")
    command.add_argument("--device", default="auto", metavar="D")
    add_engine(command)


def add_engine(command: argparse.ArgumentParser) -> None:
    """``--engine``, of every command that works on many scenes."""
    command.add_argument(
        "--engine",
        default="local",
        choices=("local", "ray"),
        help="where scenes are worked on; ray: a scene a task, on RAY_ADDRESS or a cluster here",
    )


def _calibrate(command: argparse.ArgumentParser) -> None:
    _common(command)
    command.add_argument("--out", required=True, metavar="TOML", help="rule file to write")
    command.add_argument(
        "--policy",
        metavar="NAME",
        help="train this step policy (for example ddp) on the samples instead of fitting rules",
    )
    command.add_argument("--samples", metavar="DIR", help="where measured scenes are kept")
    command.add_argument("--qualities", default="0.98,0.95,0.90", metavar="Q,Q")
    command.add_argument(
        "--mode", default="coarse", help="of the refined renders: coarse, fine or selective"
    )
    command.add_argument(
        "--spacing",
        type=int,
        help="of the start steps tried (default: 5, or half of a walk shorter than 10)",
    )
    command.add_argument("--starts", metavar="N,N", help="the start steps tried, instead")
    command.add_argument(
        "--steps",
        default="1,2,3,5,10,every",
        metavar="N,N",
        help="solver steps tried over the rest after a start; every: as [plan] walks (the paper)",
    )
    command.add_argument(
        "--few-steps",
        metavar="N,N",
        help="plain diffusion tried beside the grid, by its numbers of steps from step 0",
    )
    command.add_argument(
        "--solvers",
        choices=("own", "all"),
        default="all",
        help="of the pipeline's sampler: all (from 3 steps on, where they differ), or its own only",
    )
    command.add_argument(
        "--objective",
        choices=("truth", "paper"),
        help="what a quality is a share of. truth: of the best similarity to ground truth that any "
        "plan tried reaches, and 1 is that plan; paper: of full diffusion's score (eq. 1), and 1 "
        "is full diffusion. Default: that of the pipeline's present rules",
    )
    command.add_argument(
        "--repeats", type=int, default=1, help="renders per plan, each with its own noise"
    )
    command.add_argument("--clusters", type=int, metavar="K", help="default: as many as separate")
    command.add_argument("--min-scenes", type=int, default=8, help="per cluster")
    command.add_argument("--bins", type=int, default=6, help="of the quality ratio, at most")
    command.add_argument("--min-samples", type=int, default=20, help="targets per bin")
    command.add_argument(
        "--confidence", type=float, default=0.9, help="of the mean kept share's lower bound"
    )
    command.add_argument(
        "--scenes-met",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="of a bin's scenes that must keep the quality themselves; 0 asks for the mean only",
    )


def _measured(command: argparse.ArgumentParser) -> None:
    """What evaluate and sweep have in common."""
    _common(command)
    command.add_argument("--out", required=True, metavar="DIR", help="folder to write or continue")
    command.add_argument("--qualities", default="0.98,0.95,0.90", metavar="Q,Q")
    command.add_argument(
        "--few-steps", default="25,10,5,2", metavar="N,N", help="of the dense competitor"
    )
    command.add_argument(
        "--repeats",
        type=int,
        default=1,
        help="runs, each with its own noise: mean figures, median times",
    )
    command.add_argument("--cost", metavar="TOML", help="cost table written by measure")
    command.add_argument(
        "--energy", default="auto", metavar="METER", help="auto, zeus, nvml, rapl or none"
    )


def _evaluate(command: argparse.ArgumentParser) -> None:
    _measured(command)
    command.add_argument(
        "--modes", default="diffusion,regression,coarse,fine,selective", metavar="M,M"
    )
    command.add_argument("--show", metavar="SYSTEM", help="whose best, median, worst scene to show")


def _sweep(command: argparse.ArgumentParser) -> None:
    _measured(command)
    command.add_argument("--modes", default="coarse,fine,selective", metavar="M,M")
    command.add_argument(
        "--refresh", metavar="N,N", help="refresh periods: short for --vary plan.refresh_every=N,N"
    )
    command.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="A.B=V,V",
        help="a further factor, for example mask.opacity_below=0.3,0.5",
    )
