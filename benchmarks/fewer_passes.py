"""What fewer full passes, few-step solvers and thinner guidance cost in quality.

    python benchmarks/fewer_passes.py refresh [--scenes 4] [--kept out/refresh.jsonl]
    python benchmarks/fewer_passes.py solvers [--scenes 4]
    python benchmarks/fewer_passes.py guidance

refresh: the embedded pipeline of `lite_walk.toml` in mode `fine`, every step visited, targets
starting at drawn steps; by period and by measured drift. solvers: mode `coarse` from step 0 in 1 to
10 steps. Both against the ground truth and against the same plan without what is saved (every pass
full; fifty steps), on procedural scenes that no model was trained on. guidance: the tiny random
networks of SEVA and ViewCrafter, whose pictures mean nothing: only how far one branch leads away
from two. Prints a table in markdown. ``--kept``: a line a row of a scene, so that a run that was
cut goes on where it stopped, and more scenes may be added later.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.config import PipelineConfig, load_config, overridden
from sphinx_framework.engine.components import build_components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.frame_plan import Walk
from sphinx_framework.metrics import gradient_similarity, psnr, ssim
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.report.summary import markdown
from sphinx_framework.testing.scenes import track_scene
from sphinx_framework.types import Scene, StartSteps

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
FIRST_SCENE = 60
WHOLE = "every pass full"
REFRESH = {
    WHOLE: ["plan.refresh_every=1"],
    "period 2": ["plan.refresh_every=2"],
    "period 5": ["plan.refresh_every=5"],
    "period 10": ["plan.refresh_every=10"],
    "period 50": ["plan.refresh_every=50"],
    "period 5, last 10": ["plan.refresh_every=5", "plan.full_tail=10"],
    **{
        f"drift {limit}": ["plan.refresh=drift", f"plan.refresh_drift={limit}"]
        for limit in (0.05, 0.1, 0.2, 0.25, 0.3, 0.5)
    },
}
GUIDANCE = {
    "every step": [],
    "kept for 3 steps": ["plan.guidance.reuse=3"],
    "kept for 5 steps": ["plan.guidance.reuse=5"],
    "kept for 20 steps, change 0.1": ["plan.guidance.reuse=20", "plan.guidance.change=0.1"],
    "from 0.2 to 0.8": ["plan.guidance.interval=[0.2,0.8]"],
}


class Dictated:
    """The pipeline's own step policy, but for the plans."""

    def __init__(self, steps: Any, starts: Sequence[int], walk: Walk | None = None) -> None:
        self.steps, self.starts, self.walk = steps, tuple(starts), walk

    def start_steps(self, *arguments: Any) -> StartSteps:
        """The plans that were dictated, as many as there are targets."""
        found: StartSteps = self.steps.start_steps(*arguments)
        starts = tuple(self.starts[i % len(self.starts)] for i in range(len(found.steps)))
        walks = None if self.walk is None else (self.walk,) * len(starts)
        return replace(found, steps=starts, walks=walks, full_ratio=None)


class Pipeline:
    """One set of components, asked in many ways."""

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self.parts = build_components(config, Registry.from_entry_points(), CPU, config.name)

    def render(
        self, scene: Scene, mode: Any, options: Sequence[str], starts: Sequence[int],
        walk: Walk | None = None,
    ) -> tuple[Tensor, Any]:  # fmt: skip
        """Images and report of one request."""
        steps = Dictated(self.parts.steps, starts, walk)
        engine = Engine(replace(self.parts, steps=steps), overridden(self.config, options), CPU)
        result = engine.render(scene, mode=mode, seed=0)
        return result.images, result.report


class Means:
    """Means over scenes of the figures of a row; kept in a file, if there is one."""

    def __init__(self, kept: Path | None = None) -> None:
        self.rows: dict[str, list[list[float]]] = {}
        self.kept = kept
        self.known: dict[tuple[str, str], list[float]] = {}
        if kept is not None and kept.exists():
            for line in kept.read_text().splitlines():
                told = json.loads(line)
                self.known[told["scene"], told["name"]] = told["figures"]

    def add(self, name: str, *figures: float, scene: str = "") -> None:
        """One scene's figures."""
        self.rows.setdefault(name, []).append(list(figures))
        if self.kept is None or (scene, name) in self.known:
            return
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        with self.kept.open("a") as file:
            file.write(json.dumps({"scene": scene, "name": name, "figures": figures}) + "\n")

    def table(self, heading: Sequence[str]) -> str:
        """Markdown."""
        lines = [list(heading)]
        for name, figures in self.rows.items():
            means = torch.tensor(figures).mean(0).tolist()
            lines.append([name, *(f"{mean:.4g}" for mean in means)])
        return markdown(lines)


def against(images: Tensor, truth: Tensor) -> Iterator[float]:
    """PSNR, SSIM and GMS, means over frames."""
    for metric in (psnr, ssim, gradient_similarity):
        yield float(metric(images, truth).mean())


def lite(extra: Sequence[str] = ()) -> Pipeline:
    """The embedded models, every step of fifty visited, no frame held back."""
    overrides = ["plan.stride=1", "plan.max_steps=50", "evidence.guard=false",
                 "evidence.min_opacity=0", "engine.threads=1", *extra]  # fmt: skip
    return Pipeline(load_config(ROOT / "benchmarks" / "lite_walk.toml", overrides))


def scenes(count: int) -> Iterator[Scene]:
    """Procedural scenes with ground truth."""
    for number in range(FIRST_SCENE, FIRST_SCENE + count):
        yield load_scene(f"procedural:report/{number}", size=(96, 96))


def refresh(count: int, kept: Path | None = None) -> str:
    """Full passes, and what comes out, by period and by drift."""
    pipeline, means = lite(["diffusion.solver=euler"]), Means(kept)
    for number, scene in enumerate(scenes(count)):
        draw = torch.Generator().manual_seed(number)
        starts = torch.randint(5, 40, (len(scene.targets),), generator=draw).tolist()
        whole: Tensor | None = None
        for name, options in REFRESH.items():
            known = means.known.get((scene.name, name))
            if known is not None:
                means.add(name, *known, scene=scene.name)
                continue
            if whole is None:
                whole, _ = pipeline.render(scene, "fine", REFRESH[WHOLE], starts)
            images, report = pipeline.render(scene, "fine", options, starts)
            assert scene.target_images is not None
            score = sum(frame.achieved_score for frame in report.frames) / len(report.frames)
            means.add(name, report.counts.full_steps, report.counts.frame_steps,
                      *against(images, scene.target_images), score,
                      float(psnr(images, whole).mean()), scene=scene.name)  # fmt: skip
    return means.table(["refresh", "full passes", "frame steps", "PSNR", "SSIM", "GMS", "score",
                        f"PSNR to '{WHOLE}'"])  # fmt: skip


def solvers(count: int, kept: Path | None = None) -> str:
    """Few steps of every solver from noise, and fifty."""
    del kept
    pipeline, means = lite(), Means()
    for scene in scenes(count):
        assert scene.target_images is not None
        whole, _ = pipeline.render(scene, "coarse", [], [0], Walk(50, "euler"))
        means.add("euler, 50 steps", *against(whole, scene.target_images), 0)
        for steps in (1, 2, 3, 4, 5, 10):
            for solver in ("euler", "dpmpp_2m", "unipc") if steps > 1 else ("euler",):
                images, _ = pipeline.render(scene, "coarse", [], [0], Walk(steps, solver))
                means.add(f"{solver}, {steps}", *against(images, scene.target_images),
                          float(psnr(images, whole).mean()))  # fmt: skip
    return means.table(["solver, steps", "PSNR", "SSIM", "GMS", "PSNR to 50 steps"])


def guidance(count: int, kept: Path | None = None) -> str:
    """How far one branch leads away from two, in networks of random weights."""
    del count, kept
    parts = []
    for name, size in (("seva_mvsplat_tiny", (64, 64)), ("viewcrafter_dust3r_tiny", (64, 96))):
        overrides = ["num_steps=20", "plan.refresh_every=4", "plan.full_tail=0",
                     "plan.max_start=18", "evidence.guard=false", "evidence.min_opacity=0",
                     "engine.threads=1"]  # fmt: skip
        pipeline = Pipeline(load_config(ROOT / "tests" / "e2e" / f"{name}.toml", overrides))
        scene, means = track_scene(3, 2, size, 0), Means()
        whole: Tensor | None = None
        for wish, options in GUIDANCE.items():
            images, _ = pipeline.render(scene, "fine", options, [2, 6, 10])
            whole = images if whole is None else whole
            means.add(wish, float(psnr(images, whole).mean()))
        parts.append(means.table([name, "PSNR to both branches at every step"]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made = {"refresh": refresh, "solvers": solvers, "guidance": guidance}
    parser.add_argument("part", choices=made)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--kept", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(made[asked.part](asked.scenes, asked.kept))
