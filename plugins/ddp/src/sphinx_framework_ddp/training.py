"""Trains ``ddp`` on what calibration measured: every arm of every target is known.

With all arms' rewards logged, the expected reward of the policy is exact, without baseline or
variance: ``L = - sum_k pi(k | s, q) R_k(q)``. A reward is the kept share up to
the quality, less the cost of the steps that are walked. The values themselves are fitted along,
because inference compares them with the quality. By how much they must exceed it (the margin) is
chosen on scenes that they were not fitted to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.errors import ConfigError
from sphinx_framework.protocols import ObservedScene, TrainedSteps
from sphinx_framework_ddp.network import ExpectedQuality, state_of
from sphinx_framework_ddp.policy import LearnedPolicy, latest_arms

EPOCHS = 100
COST = 0.2  # reward lost by walking all steps; the paper has none, its arms cost the same
SHARPNESS = 20.0  # of the soft choice between arms while training
ENTROPY = 0.002
QUALITIES = (0.8, 0.9, 0.95, 0.98)
SCENES_MET = 0.9  # share of unseen scenes that must keep the quality, as rules are fitted
MARGINS = tuple(0.01 * i for i in range(31))
LEAST_SCENES = 4


@dataclass(frozen=True, slots=True)
class Batch:
    """All targets of some scenes; ``scene`` numbers them."""

    views: Float[Tensor, "B 4 s s"]
    told: Float[Tensor, "B 6"]
    ratio: Float[Tensor, " B"]
    kept: Float[Tensor, "B K"]
    scene: Tensor

    @classmethod
    def of(cls, scenes: Sequence[ObservedScene]) -> "Batch":
        """Stack the targets in the order given."""
        states = [state_of(scene.report) for scene in scenes]
        views, told, ratio = (torch.cat(parts) for parts in zip(*states, strict=True))
        numbers = [torch.full((len(s.kept),), i) for i, s in enumerate(scenes)]
        return cls(views, told, ratio, torch.cat([s.kept for s in scenes]), torch.cat(numbers))


def train(scenes: Sequence[ObservedScene], *, seed: int) -> TrainedSteps:
    """Train on the scenes, the order of which does not matter.

    Raises :class:`ConfigError` for fewer than four scenes, or scenes of different start steps.
    """
    ordered = sorted(scenes, key=lambda scene: scene.name)
    if len(ordered) < LEAST_SCENES:
        raise ConfigError(
            f"ddp cannot be trained on {len(ordered)} scenes: it needs {LEAST_SCENES} or more.",
            hint="Give more --scenes.",
        )
    starts, num_steps = ordered[0].starts, ordered[0].num_steps
    if any((scene.starts, scene.num_steps) != (starts, num_steps) for scene in ordered):
        raise ConfigError("ddp: the samples tried different start steps.", hint="Measure anew.")
    held, rest = ordered[::4], [scene for i, scene in enumerate(ordered) if i % 4]
    margin = _margin(fitted(Batch.of(rest), starts, num_steps, seed), Batch.of(held))
    network = fitted(Batch.of(ordered), starts, num_steps, seed)
    network.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()})
    policy = LearnedPolicy(network, starts, num_steps, margin)
    return TrainedSteps(policy=policy, text=policy.text())


def fitted(batch: Batch, starts: Sequence[int], num_steps: int, seed: int) -> ExpectedQuality:
    """A network fitted to all targets of a batch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ExpectedQuality(len(starts))
    # Values begin at the arms' means: the network learns what differs from target to target.
    with torch.no_grad():
        last = network.head[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.mul_(0.1)
        last.bias.copy_(batch.kept.mean(0) - F.softplus(network.slope) * batch.ratio.mean())
    walked = 1 - torch.tensor(starts) / num_steps
    optimiser = torch.optim.AdamW(network.parameters(), lr=8e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    with torch.enable_grad():
        for epoch in range(EPOCHS):
            quality = QUALITIES[epoch % len(QUALITIES)]
            expected = network(batch.views, batch.told, batch.ratio)
            loss = F.huber_loss(expected, batch.kept, delta=0.1)
            loss = loss + 0.1 * policy_loss(expected, batch.kept, walked, quality)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval().requires_grad_(False)


def policy_loss(
    expected: Float[Tensor, "B K"],
    kept: Float[Tensor, "B K"],
    walked: Float[Tensor, " K"],
    quality: float,
) -> Float[Tensor, ""]:
    """Negative expected reward of the soft policy that the expected shares make, all arms known."""

    def reward(share: Tensor) -> Tensor:
        return (share / quality).clamp(max=1) - COST * walked

    choice = F.softmax(SHARPNESS * reward(expected), dim=1)
    entropy = -(choice * choice.clamp(min=1e-9).log()).sum(1)
    return -((choice * reward(kept)).sum(1) + ENTROPY * entropy).mean()


@torch.no_grad()
def _margin(network: ExpectedQuality, unseen: Batch) -> float:
    """The smallest margin with which enough unseen scenes keep the quality, in the mean."""
    expected = network(unseen.views, unseen.told, unseen.ratio)
    rows = torch.arange(len(expected))
    for margin in MARGINS:
        met = []
        for quality in QUALITIES:
            arms = latest_arms(expected, quality + margin)
            own = unseen.kept[rows, torch.tensor(arms)]
            scenes = [own[unseen.scene == i].mean() for i in unseen.scene.unique()]
            met.append(fmean(float(share >= quality) for share in scenes))
        if fmean(met) >= SCENES_MET:
            return round(margin, 2)
    return round(MARGINS[-1], 2)
