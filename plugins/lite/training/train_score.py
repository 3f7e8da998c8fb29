"""Train the score that judges by evidence: inputs, render, opacity, warps.

    python training/train_score.py --scenes D/score --held D/score_held --run R

Reads what ``score_scenes.py`` stored. The score's target is similarity to the truth, (SSIM + GMS)
/ 2, less the shift of the mean colour, which neither of both sees. Features are made once and kept
in the run's folder; fitting takes some minutes. The guard's head: ``train_guard.py``.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from score_examples import DAMAGED, KINDS, NONE, gathered
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.quality import EvidenceNetwork, Head

LOW = 0.2
RATE = 3e-3
# Noise on the features, of their deviation.
JITTER = 0.01
FRAMES, RUNGS = 8, 256
# From which difference of similarity on two pictures are ranked, how much better the better one
# should score at most, and how sharply a smaller difference is paid for.
TIED, MARGIN, STEEP = 0.0005, 0.05, 300.0
TIED_SYSTEMS = 0.0003
# By how much each rung of a ladder should score less than the one above it.
RUNG = 0.004
# Weights beside that of least squares.
RANKED, RANKED_SYSTEMS, LADDERED = 0.3, 1.0, 1.0


def stretched(value: Tensor) -> Tensor:
    """Similarity on the scale of the score."""
    return ((value - LOW) / (1 - LOW)).clamp(0.005, 0.995)


def short_of(wanted: Tensor, apart: Tensor) -> Tensor:
    """Smooth cost of scores that lie less apart than wanted."""
    return functional.softplus(STEEP * (wanted - apart)) * (25 / STEEP)


def rungs(data: dict[str, Tensor]) -> Tensor:
    """Rows of the rungs of ladders, each of which has one above it."""
    return (data["above"] != NONE).nonzero()[:, 0]


class Examples:
    """What a head is fitted to, and draws from it."""

    def __init__(self, data: dict[str, Tensor], seed: int) -> None:
        self._data = data
        self._generator = torch.Generator().manual_seed(seed)
        order = data["frame"].argsort(stable=True)
        _, counts = data["frame"][order].unique_consecutive(return_counts=True)
        self.frames = list(order.split(counts.tolist()))
        systems = [rows[data["kind"][rows] != DAMAGED] for rows in self.frames]
        self.systems = [rows for rows in systems if len(rows) > 2]
        self.rungs = rungs(data)

    def drawn(self, groups: list[Tensor], count: int) -> Tensor:
        """Rows of some groups."""
        picked = torch.randint(len(groups), (count,), generator=self._generator).tolist()
        return torch.cat([groups[i] for i in picked])

    def drawn_rungs(self) -> tuple[Tensor, Tensor]:
        """Rows of some rungs, and those above them."""
        picked = torch.randint(len(self.rungs), (RUNGS,), generator=self._generator)
        rows = self.rungs[picked]
        return rows, self._data["above"][rows]

    def jitter(self, head: Head, count: int) -> Tensor:
        """Noise on as many rows of features."""
        shape = (count, len(head.deviation))
        return JITTER * head.deviation * torch.randn(shape, generator=self._generator)

    def ranked(self, rows: Tensor, score: Tensor, tied: float) -> Tensor:
        """What pairs of one frame cost that lie too close, or the wrong way round."""
        wanted, frame = self._data["aim"][rows], self._data["frame"][rows]
        gap = wanted[:, None] - wanted
        apart = (score[:, None] - score) * gap.sign()
        pairs = (frame[:, None] == frame) & (gap.abs() > tied)
        cost = short_of(gap.abs().clamp(max=MARGIN), apart)
        return (cost * pairs).sum() / pairs.sum().clamp(min=1)


def fit(head: Head, data: dict[str, Tensor], steps: int, seed: int) -> None:
    """Smooth least squares; ranks within a frame, of systems once more; rungs of ladders."""
    deviation, mean = torch.std_mean(data["features"], dim=0)
    head.mean.copy_(mean)
    head.deviation.copy_(deviation.clamp(min=1e-4))
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=5e-2)
    draw = Examples(data, seed)

    def scored(rows: Tensor) -> Tensor:
        found: Tensor = head(data["features"][rows] + draw.jitter(head, len(rows)))
        return found

    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / steps) + 1e-5
        rows = draw.drawn(draw.frames, FRAMES)
        score = scored(rows)
        loss = functional.smooth_l1_loss(score, stretched(data["aim"][rows]), beta=0.05)
        loss = loss + RANKED * draw.ranked(rows, score, TIED)
        rows = draw.drawn(draw.systems, 2 * FRAMES)
        loss = loss + RANKED_SYSTEMS * draw.ranked(rows, scored(rows), TIED_SYSTEMS)
        below, above = draw.drawn_rungs()
        noise = draw.jitter(head, RUNGS)
        both = [head(data["features"][rows] + noise) for rows in (above, below)]
        wanted = torch.full_like(both[0], RUNG)
        loss = loss + LADDERED * short_of(wanted, both[0] - both[1]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def fallen(score: Tensor, data: dict[str, Tensor]) -> float:
    """Share of the rungs of ladders that do not score less than the rung above."""
    below = rungs(data)
    return (score[below] >= score[data["above"][below]]).float().mean().item()


def report(score: Tensor, data: dict[str, Tensor]) -> None:
    """Print rank correlations within frames over all systems and the truth."""
    systems = data["kind"] != DAMAGED
    found = []
    for frame in data["frame"][systems].unique():
        rows = systems & (data["frame"] == frame)
        found.append(spearmanr(score[rows], data["similarity"][rows])[0])
    values = torch.tensor(found)
    print(
        f"{len(values)} frames: Spearman within a frame, mean {values.mean():.3f}, "
        f"worst tenth below {values.quantile(0.1):.3f}; over all images "
        f"{spearmanr(score, data['similarity'])[0]:.3f}; "
        f"rungs not below the one above {fallen(score, data):.4f}"
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--held", type=Path, nargs="+", required=True, help="only measured")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--guard", type=Path, help="weights whose head of the guard stays")
    parser.add_argument("--frames", nargs="+", choices=KINDS, default=["finished"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kinds = options.frames
    data = gathered(options.scenes, options.run / "features", some_without=True, frames=kinds)
    held = [
        gathered(folder, options.run / folder.name, some_without=False, frames=kinds)
        for folder in options.held
    ]
    print(f"{len(data['aim'])} examples of {int(data['scene'].max()) + 1} scenes", flush=True)
    network = EvidenceNetwork()
    if options.guard is not None:
        kept = load_file(options.guard)
        own = {name[5:]: kept[name] for name in kept if name.startswith("lost.")}
        network.lost.load_state_dict(own)
    for seed, score in enumerate(network.score.heads):
        fit(score, data, options.steps, seed)  # type: ignore[arg-type]
    for part in (data, *held):
        with torch.no_grad():
            report(network.score(part["features"]), part)
    save_file(network.state_dict(), options.run / "weights.safetensors")


if __name__ == "__main__":
    main()
