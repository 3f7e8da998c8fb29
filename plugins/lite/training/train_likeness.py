"""Train the score that judges by evidence, cell by cell: inputs, render, opacity, warps.

    python training/train_likeness.py --data D --run R --minutes 25

Reads what ``score_scenes.py`` stored in ``D/score``. A cell's target is its similarity to the
truth, (SSIM + GMS) / 2, less the shift of the mean colour, which neither of both sees. Maps are
made once and kept in the run's folder (about 12 GB, in memory while it learns). Frames
of the folders in ``--held`` are only measured. The guard: ``train_guard.py``.
"""

from pathlib import Path

import torch
from common import Run, arguments
from likeness_examples import FIRST_PHOTO, NONE, PAINTED, SYSTEM, TRUTH, gathered
from safetensors.torch import save_file
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.likeness import Likeness

Scene = dict[str, Tensor]
# Systems of how many frames a step ranks, how many of each; of how many scenes how many rungs.
FRAMES, SYSTEMS = 5, 6
LADDERED, RUNGS = 4, 5
# Which frames are ranked among each other, the truth among them, and how often.
POOLS = {"finished": (SYSTEM, TRUTH), "painted": (PAINTED, TRUTH), "both": (SYSTEM, PAINTED, TRUTH)}
OFTEN = (0.5, 0.3, 0.2)
# From which difference of similarity on two systems are ranked, how much better the better one
# should score at most, and how sharply a smaller difference is paid for.
TIED, MARGIN, STEEP = 0.0001, 0.05, 300.0
# By how much each rung of a ladder should score less than the one above it.
RUNG = 0.004
# Weights: ranks of systems; likeness itself; rungs. Beside that of how systems differ in cells.
RANKED, WHOLE, LADDER = 1.0, 2.0, 0.5
# Least deviation of a frame's cells among its systems.
STILL = 0.004


def short_of(wanted: Tensor, apart: Tensor) -> Tensor:
    """Smooth cost of scores that lie less apart than wanted."""
    return functional.softplus(STEEP * (wanted - apart)) * (25 / STEEP)


class Draw:
    """Random examples of the training scenes."""

    def __init__(self, scenes: list[Scene], generator: torch.Generator) -> None:
        self._scenes = scenes
        self._generator = generator
        self._often = torch.tensor(OFTEN)

    def _below(self, count: int) -> int:
        return int(torch.randint(count, (1,), generator=self._generator))

    def _some(self, rows: Tensor, count: int) -> Tensor:
        return rows[torch.randperm(len(rows), generator=self._generator)[:count]]

    def systems(self) -> tuple[Scene, Tensor]:
        """A scene, and rows of systems (the truth among them) of one of its frames."""
        scene = self._scenes[self._below(len(self._scenes))]
        frames = scene["frame"][scene["kind"] == TRUTH]
        frame = frames[self._below(len(frames))]
        pool = list(POOLS)[int(torch.multinomial(self._often, 1, generator=self._generator))]
        return scene, self._some(among(scene, int(frame), pool), SYSTEMS)

    def rungs(self) -> tuple[Scene, Tensor]:
        """A scene, and rows of rungs of its ladders, then of those above them."""
        scene = self._scenes[self._below(len(self._scenes))]
        rows = self._some((scene["above"] != NONE).nonzero()[:, 0], RUNGS)
        return scene, torch.cat([rows, scene["above"][rows]])

    def turned(self, *maps: Tensor) -> list[Tensor]:
        """All of them mirrored or transposed alike."""
        found = list(maps)
        for change in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT):
            if self._below(2):
                found = [change(x) for x in found]
        return found


def among(scene: Scene, frame: int, pool: str) -> Tensor:
    """Rows of a frame that are ranked among each other."""
    kinds = torch.isin(scene["kind"], torch.tensor(POOLS[pool]))
    return ((scene["frame"] == frame) & kinds).nonzero()[:, 0]


def column(drawn: list[tuple[Scene, Tensor]], name: str) -> Tensor:
    """One column of all drawn rows."""
    return torch.cat([scene[name][rows] for scene, rows in drawn]).float()


def cost(network: Likeness, draw: Draw) -> dict[str, Tensor]:
    """The terms of one step."""
    systems = [draw.systems() for _ in range(FRAMES)]
    both = systems + [draw.rungs() for _ in range(LADDERED)]
    maps, cells = draw.turned(column(both, "maps"), column(both, "cells"))
    found = network(maps)
    ranked = FRAMES * SYSTEMS
    ours, theirs = (x[:ranked].unflatten(0, (FRAMES, SYSTEMS)) for x in (found, cells))
    apart, wanted = (x - x.mean(1, keepdim=True) for x in (ours, theirs))
    scale = wanted.square().mean((1, 2, 3), keepdim=True).sqrt() + STILL
    mean = ours.mean((2, 3))
    aim = column(systems, "aim").unflatten(0, (FRAMES, SYSTEMS))
    gap = aim[:, :, None] - aim[:, None]
    order = (mean[:, :, None] - mean[:, None]) * gap.sign()
    pairs = gap.abs() > TIED
    below, above = found[ranked:].mean((1, 2)).unflatten(0, (LADDERED, 2, RUNGS)).unbind(1)
    return {
        "apart": functional.smooth_l1_loss(apart / scale, wanted / scale),
        "ranked": (short_of(gap.abs().clamp(max=MARGIN), order) * pairs).sum() / pairs.sum(),
        "whole": functional.smooth_l1_loss(found, cells, beta=0.1),
        "rungs": short_of(torch.full_like(below, RUNG), above - below).mean(),
    }


@torch.no_grad()
def report(network: Likeness, scenes: list[Scene], name: str) -> None:
    """Print rank correlations within frames over all systems and the truth; ladders; photos."""
    ranks: dict[str, list[float]] = {pool: [] for pool in POOLS}
    risen, photos = [], []
    for scene in scenes:
        found = torch.cat([network(maps.float()).mean((1, 2)) for maps in scene["maps"].split(64)])
        for frame in scene["frame"][scene["kind"] == TRUTH].tolist():
            for pool, values in ranks.items():
                rows = among(scene, frame, pool)
                values.append(spearmanr(found[rows], scene["similarity"][rows])[0])
        rung = scene["above"] != NONE
        risen.append((found[rung] >= found[scene["above"][rung]]).float())
        photos.append(found[(scene["frame"] % 100 >= FIRST_PHOTO) & (scene["aim"] > 0.999)])
    told = ", ".join(f"{pool} {sum(x) / len(x):.3f}" for pool, x in ranks.items())
    print(
        f"{name}, {len(ranks['painted'])} frames: Spearman within a frame, {told}; "
        f"rungs not below the one above {torch.cat(risen).mean():.4f}; "
        f"photos {torch.cat(photos).mean():.3f}",
        flush=True,
    )


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--held", nargs="*", default=["score_fresh", "score_caps"])
    options = parser.parse_args()
    torch.manual_seed(options.seed)

    def scenes(name: str, some_without: bool = False) -> list[Scene]:
        folder: Path = options.data / name
        return gathered(folder, options.run / name, some_without=some_without)

    learnt = scenes("score", some_without=True)
    held = {name: scenes(name) for name in options.held}
    network = Likeness()
    some = torch.cat([scene["maps"][::9].float() for scene in learnt[::6]])
    network.mean.copy_(some.mean((0, 2, 3)))
    network.deviation.copy_(some.std((0, 2, 3)).clamp(min=1e-3))
    run = Run(options, network)
    draw = Draw(learnt, run.generator)
    quarter = int(4 * run.progress)
    averaged = Likeness()
    while quarter < 4:
        terms = cost(network, draw)
        loss = terms["apart"] + RANKED * terms["ranked"]
        loss = loss + WHOLE * terms["whole"] + LADDER * terms["rungs"]
        run.update(loss, **{name: float(term.detach()) for name, term in terms.items()})
        if int(4 * run.progress) > quarter:
            quarter = int(4 * run.progress)
            averaged.load_state_dict(run.average)
            for name, part in held.items():
                report(averaged, part, name)
    run.save()
    weights = {name: value.contiguous() for name, value in run.average.items()}
    save_file(weights, run.folder / "weights.safetensors")


if __name__ == "__main__":
    main()
