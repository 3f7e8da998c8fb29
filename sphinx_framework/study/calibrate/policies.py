"""Step policies that are trained from samples: what they are shown, and how they are judged."""

import hashlib
from collections.abc import Iterator, Sequence

import torch

from sphinx_framework.engine.decisions import assess
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.frame_plan import OWN, FramePlan
from sphinx_framework.protocols import ObservedScene, StepPolicy, StepsTrainer
from sphinx_framework.study.calibrate.held_out import FOLDS, HeldOut, outcome, summary
from sphinx_framework.study.calibrate.samples import SceneSample, SceneSource
from sphinx_framework.study.calibrate.sampling import Sampling

Seen = tuple[SceneSample, ObservedScene]


@torch.no_grad()
def observed(
    engine: Engine, scenes: Sequence[SceneSource], samples: Sequence[SceneSample]
) -> Iterator[Seen]:
    """Every measured scene with what a policy would see of it: one regression pass a scene."""
    by_name = {sample.scene: sample for sample in samples}
    for name, load in scenes:
        sample, scene = by_name[name], load().to(engine.device)
        coarse = engine.components.regression.predict(scene)
        starts = own_starts(sample)
        kept = [[target.kept(str(start)) for start in starts] for target in sample.targets]
        yield (
            sample,
            ObservedScene(
                name=name,
                scene=scene,
                report=assess(engine.components, engine.config, scene, coarse),
                num_steps=sample.num_steps,
                starts=starts,
                kept=torch.tensor(kept),
            ),
        )


def own_starts(sample: SceneSample) -> tuple[int, ...]:
    """Starts that were tried with the pipeline's own walk; the last is the regression frame.

    Raises :class:`ConfigError` where none was.
    """
    plans = [FramePlan.parse(text) for text in sample.targets[0].scores]
    starts = tuple(sorted(plan.start for plan in plans if plan.walk == OWN))
    if starts[:1] != (0,):
        raise _needs_own_walks()
    return starts


def require_own_walks(sampling: Sampling) -> None:
    """Before anything is measured: a step policy can be trained on what will be.

    Raises :class:`ConfigError` where it cannot.
    """
    if None not in sampling.steps or (sampling.starts and 0 not in sampling.starts):
        raise _needs_own_walks()


def _needs_own_walks() -> ConfigError:
    return ConfigError(
        "a step policy is trained on the pipeline's own walks, from step 0 on.",
        hint="Measure them: --steps every, and 0 among the --starts.",
    )


def judged(
    policy: StepPolicy, scenes: Sequence[Seen], qualities: Sequence[float]
) -> dict[float, list[tuple[float, float]]]:
    """Kept share and mean start of every scene under a policy, by quality."""
    found: dict[float, list[tuple[float, float]]] = {quality: [] for quality in qualities}
    for sample, seen in scenes:
        for quality in qualities:
            chosen = policy.start_steps(seen.report, seen.scene, quality, seen.num_steps)
            tried = seen.starts  # a start between two that were tried counts as the earlier
            plans = [FramePlan(max(s for s in tried if s <= step)) for step in chosen.steps]
            found[quality].append(outcome(sample, plans))
    return found


def held_out_policy(
    train: StepsTrainer,
    scenes: Sequence[Seen],
    qualities: Sequence[float],
    *,
    seed: int,
    folds: int = FOLDS,
) -> tuple[HeldOut, ...]:
    """Cross-validate a trained policy on the folds that rules are judged on."""
    if len(scenes) < folds:
        return ()
    mixed = sorted(scenes, key=lambda s: hashlib.sha256(s[0].scene.encode()).hexdigest())
    found: dict[float, list[tuple[float, float]]] = {quality: [] for quality in qualities}
    for fold in range(folds):
        rest = [seen for i, (_, seen) in enumerate(mixed) if i % folds != fold]
        policy = train(rest, seed=seed).policy
        for quality, outcomes in judged(policy, mixed[fold::folds], qualities).items():
            found[quality] += outcomes
    return tuple(summary(quality, outcomes) for quality, outcomes in found.items())
