"""How well the evidence guard tells frames that refinement made worse: detection, false alarms.

    python benchmarks/guard_curve.py --scenes procedural:report/520-531

Every proven target of the scenes is refined by several plans (start, number of steps) with
the guard off. A frame is bad when it would be served, with its share of the render, more than
``--loss`` dB of PSNR below its render; judged is what the guard sees, without that share. For
every tolerance the evidence of all frames is computed; the threshold is the one that fires on at
most 2 % of the frames that are not bad. Then the same of what the quality component says was lost,
at fixed limits too, and of both together as shipped. ``--captures`` takes those of real_photos.py.
"""

import argparse
from dataclasses import replace

import torch
from real_photos import captured, generated

from sphinx_framework.config import load_config
from sphinx_framework.engine.composite import with_render_share
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.scoring import target_evidence
from sphinx_framework.frame_plan import FramePlan, Walk
from sphinx_framework.metrics import psnr
from sphinx_framework.policy.evidence import surviving_evidence
from sphinx_framework.protocols import LossEstimator
from sphinx_framework.study.calibrate.samples import FixedPlan

TOLERANCES = (0.01, 0.02, 0.03, 0.05, 0.1)
FALSE_ALARMS = 0.02
LIMITS = (0.5, 0.75, 1.0, 1.25, 1.5)


def main() -> None:
    """Print a line per tolerance, and what the shipped threshold does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="lite")
    parser.add_argument("--scenes", default="procedural:report/520-531")
    parser.add_argument("--captures", nargs="*", metavar="FOLDER[:FIRST-LAST,...]")
    parser.add_argument("--starts", type=int, nargs="+", default=[0, 10, 20, 30, 40])
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--loss", type=float, default=1.0, help="dB that make a frame bad")
    arguments = parser.parse_args()
    config = load_config(arguments.config, [])
    shipped, share = config.evidence, config.composite.render_share
    losses: list[torch.Tensor] = []
    judged: list[torch.Tensor] = []
    evidence: dict[float, list[torch.Tensor]] = {}
    engine = Engine.from_config(
        load_config(arguments.config, ["evidence.guard=false", "composite.render_share=0"]),
        device="cpu",
    )
    size = engine.config.size or (96, 96)
    scenes = generated(arguments.scenes, size)
    if arguments.captures:
        scenes = [scene for folder in arguments.captures for scene in captured(folder, size)]
    for scene in scenes:
        assert scene.target_images is not None
        for steps in arguments.steps:
            for start in arguments.starts:
                fixed = FixedPlan(FramePlan(start, Walk(steps)))
                engine.components = replace(engine.components, steps=fixed)
                result = engine.render(scene, mode="fine")
                kept = [f.served == "refined" for f in result.report.frames]
                coarse = result.coarse
                before = psnr(coarse.images, scene.target_images)
                lateness = torch.full((len(kept),), start / config.num_steps)
                served = with_render_share(result.images, coarse.images, share, lateness)
                losses.append((before - psnr(served, scene.target_images))[kept])
                judge = engine.components.quality
                told = torch.zeros(len(result.images))
                if isinstance(judge, LossEstimator):
                    told = judge.lost(result.images, target_evidence(scene, coarse))
                judged.append(told[kept])
                for tolerance in {*TOLERANCES, shipped.tolerance}:
                    found = surviving_evidence(
                        result.images, coarse.images, coarse.opacity, tolerance
                    )
                    evidence.setdefault(tolerance, []).append(found[kept])
    bad = torch.cat(losses) > arguments.loss
    print(f"{len(bad)} frames, {int(bad.sum())} lost more than {arguments.loss:g} dB")
    for tolerance in TOLERANCES:
        values = torch.cat(evidence[tolerance])
        least = values[~bad].quantile(FALSE_ALARMS)
        caught, false = (values[bad] < least).float().mean(), (values[~bad] < least).float().mean()
        print(
            f"tolerance {tolerance:g}: below {least:.3f} catches {caught:.0%} at {false:.1%} "
            "false alarms"
        )
    lost = torch.cat(judged)
    for limit in (*LIMITS, float(lost[~bad].quantile(1 - FALSE_ALARMS))):
        tell(f"judged to have lost more than {limit:.2f} dB", lost > limit, bad)
    fires = torch.cat(evidence[shipped.tolerance]) < shipped.least
    tell(f"low frequencies as shipped ({shipped.tolerance:g}, {shipped.least:g})", fires, bad)
    tell(f"both as shipped (and {shipped.most_lost:g} dB)", fires | (lost > shipped.most_lost), bad)


def tell(what: str, fires: torch.Tensor, bad: torch.Tensor) -> None:
    """Print what a rule catches, and how often it fires on other frames."""
    caught, false = fires[bad].float().mean(), fires[~bad].float().mean()
    print(f"{what}: catches {caught:.0%} at {false:.1%} false alarms")


if __name__ == "__main__":
    main()
