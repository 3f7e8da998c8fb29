"""How well the evidence guard tells frames that refinement made worse: detection, false alarms.

    python benchmarks/guard_curve.py --scenes procedural:report/520-531 --temperatures 0.15 1

Every proven target of the scenes is refined by several plans (start, number of steps) at several
temperatures (hotter walks go wrong more often) with the guard off. A frame is bad when it would be
served, with its share of the render or finished, more than ``--loss`` dB of PSNR below its render;
judged is what the guard sees, before both. ``--painted`` calls a frame bad when what the guard sees
lost as much, whatever of it they would mend. For every tolerance the evidence of all frames is
computed; the threshold is the one that fires on at most 2 % of the frames that are not bad. Then
the same of what the quality component says was lost, at fixed limits too, and of both together as
shipped. ``--captures`` takes those of real_photos.py.
"""

import argparse
from dataclasses import dataclass, replace
from itertools import product

import torch
from real_photos import generated
from torch import Tensor

from sphinx_framework.config import CompositeConfig, load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.finishing import as_served
from sphinx_framework.engine.scoring import target_evidence
from sphinx_framework.frame_plan import FramePlan, Walk
from sphinx_framework.metrics import psnr
from sphinx_framework.policy.evidence import surviving_evidence
from sphinx_framework.policy.evidence_config import EvidenceConfig
from sphinx_framework.protocols import LossEstimator
from sphinx_framework.scenes.frame_pairs import captured
from sphinx_framework.study.calibrate.sampling import FixedPlan
from sphinx_framework.types import Scene

TOLERANCES = (0.01, 0.02, 0.03, 0.05, 0.1)
FALSE_ALARMS = 0.02
LIMITS = (0.5, 0.75, 1.0, 1.25, 1.5)


@dataclass(frozen=True, slots=True)
class Frames:
    """What was found of every proven frame: dB lost, dB said to be lost, evidence by tolerance."""

    lost: Tensor
    told: Tensor
    evidence: dict[float, Tensor]


def of_plan(
    engine: Engine, scene: Scene, plan: FramePlan, last: CompositeConfig, tolerances: set[float]
) -> Frames:
    """A scene by one plan; ``last``: what is done to a frame behind the guard."""
    assert scene.target_images is not None
    engine.components = replace(engine.components, steps=FixedPlan(plan))
    result = engine.render(scene, mode="fine")
    kept = [f.served == "refined" for f in result.report.frames]
    images, coarse = result.images, result.coarse
    lateness = torch.full((len(kept),), plan.start / engine.config.num_steps)
    model = engine.components.diffusion
    known = target_evidence(scene, coarse)
    served = as_served(model, last, images, known, lateness=lateness)
    truth = scene.target_images
    judge = engine.components.quality
    told = torch.zeros(len(images))
    if isinstance(judge, LossEstimator):
        told = judge.lost(images, known)
    return Frames(
        lost=(psnr(coarse.images, truth) - psnr(served, truth))[kept],
        told=told[kept],
        evidence={
            tolerance: surviving_evidence(images, coarse.images, coarse.opacity, tolerance)[kept]
            for tolerance in tolerances
        },
    )


def report(found: list[Frames], shipped: EvidenceConfig, loss: float) -> None:
    """Print a line per tolerance and limit, and what the shipped thresholds do."""
    bad = torch.cat([frames.lost for frames in found]) > loss
    lost = torch.cat([frames.told for frames in found])
    print(f"{len(bad)} frames, {int(bad.sum())} lost more than {loss:g} dB")

    def evidence(tolerance: float) -> Tensor:
        return torch.cat([frames.evidence[tolerance] for frames in found])

    for tolerance in TOLERANCES:
        least = float(evidence(tolerance)[~bad].quantile(FALSE_ALARMS))
        tell(f"tolerance {tolerance:g}: below {least:.3f}", evidence(tolerance) < least, bad)
    for limit in (*LIMITS, float(lost[~bad].quantile(1 - FALSE_ALARMS))):
        tell(f"judged to have lost more than {limit:.2f} dB", lost > limit, bad)
    fires = evidence(shipped.tolerance) < shipped.least
    tell(f"low frequencies as shipped ({shipped.tolerance:g}, {shipped.least:g})", fires, bad)
    tell(f"both as shipped (and {shipped.most_lost:g} dB)", fires | (lost > shipped.most_lost), bad)


def main() -> None:
    """Render every scene by every plan, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scenes", default="procedural:report/520-531")
    parser.add_argument("--captures", nargs="*", metavar="FOLDER[:FIRST-LAST,...]")
    parser.add_argument("--starts", type=int, nargs="+", default=[0, 10, 20, 30, 40])
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--temperatures", type=float, nargs="*", help="default: the pipeline's")
    parser.add_argument("--painted", action="store_true", help="losses of what the guard sees")
    parser.add_argument("--loss", type=float, default=1.0, help="dB that make a frame bad")
    arguments = parser.parse_args()
    config = load_config(arguments.config, [])
    off = ["evidence.guard=false", "composite.finish=false", "composite.render_share=0"]
    warm = [[f"diffusion.temperature={t:g}"] for t in arguments.temperatures or []] or [[]]
    engines = [
        Engine.from_config(load_config(arguments.config, off + also), device="cpu") for also in warm
    ]
    size = config.size or (96, 96)
    scenes = generated(arguments.scenes, size)
    if arguments.captures:
        scenes = [scene for folder in arguments.captures for scene in captured(folder, size)]
    last = CompositeConfig() if arguments.painted else config.composite
    tolerances = {*TOLERANCES, config.evidence.tolerance}
    every = product(scenes, engines, arguments.steps, arguments.starts)
    found = [
        of_plan(engine, scene, FramePlan(start, Walk(steps)), last, tolerances)
        for scene, engine, steps, start in every
    ]
    report(found, config.evidence, arguments.loss)


def tell(what: str, fires: torch.Tensor, bad: torch.Tensor) -> None:
    """Print what a rule catches, and how often it fires on other frames."""
    caught = f"{fires[bad].float().mean():.0%}" if bad.any() else "none (of none)"
    print(f"{what}: catches {caught} at {fires[~bad].float().mean():.2%} false alarms")


if __name__ == "__main__":
    main()
