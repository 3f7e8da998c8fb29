"""Train the finisher: what served frames are made of.

    python training/train_finisher.py --data D --run R --minutes 40 --batch 12

Reads frames that ``score_scenes.py`` stored, as painted by walks at the shipped temperature and, a
few, at 1; the U-Net and the autoencoder do not change. The loss is that of ``train_refinement.py``
on finished frames. Frames of the folders in ``--held`` are only measured.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import Run, arguments
from decoders import decoders
from feature_loss import feature_loss
from half_precision import half_precision
from score_examples import stored_evidence
from similarity import gradient_similarity, psnr, sharpness, ssim
from torch import Tensor
from train_refinement import LARGEST_BATCHED, picture_loss

from sphinx_framework_lite.finisher import Finisher, trusted
from sphinx_framework_lite.photo_views import PHOTOS, photo_views

GIVEN = ("render", "opacity", "photos", "inside")
# Shares of the frames that are drawn: walks at 1, and none of the photos (no depth is known).
HOT, BARE = 0.1, 0.05
# Share of a batch whose features are looked at: they cost as much as all else.
FEATURED = 0.5
SERVED = "start 40 steps 1 at 0.15"


class Frames:
    """Frames of stored scenes of one size, as bytes: painted ones, and what is known of each."""

    def __init__(self, folder: Path) -> None:
        known: dict[str, list[Tensor]] = {name: [] for name in (*GIVEN, "truth")}
        painted: dict[str, list[tuple[Tensor, Tensor]]] = {"cold": [], "hot": [], "served": []}
        first = 0
        for path in sorted(folder.glob("[0-9]*[0-9].npz")):
            with np.load(path) as file:
                scene = {name: file[name] for name in file.files}
            evidence = stored_evidence(scene)
            assert evidence.opacity is not None
            seen = evidence.renders, evidence.opacity, *photo_views(evidence)
            for name, value in zip(GIVEN, seen, strict=True):
                known[name].append((value * 255).round().byte())
            known["truth"].append(torch.from_numpy(scene["truth"]))
            rows = first + torch.arange(len(scene["truth"]))
            first += len(rows)
            for name, images in zip(scene["names"].tolist(), scene["systems"], strict=True):
                made = torch.from_numpy(images), rows
                if name.endswith(("at 0.15", "at 1")):
                    painted["cold" if name.endswith("at 0.15") else "hot"].append(made)
                if name == SERVED:
                    painted["served"].append(made)
        self._known = {name: torch.cat(parts) for name, parts in known.items()}
        self._painted = {
            kind: tuple(torch.cat(parts) for parts in zip(*made, strict=True))
            for kind, made in painted.items()
            if made
        }
        self.side = self._known["truth"].shape[-1]

    def __len__(self) -> int:
        return len(self._known["truth"])

    def take(self, kind: str, rows: Tensor) -> dict[str, Tensor]:
        """Painted frames of a kind, and what is known of them, as float32 in [0, 1]."""
        frames, of = self._painted[kind]
        known = {name: values[of[rows]] for name, values in self._known.items()}
        return {name: x.float() / 255 for name, x in {"refined": frames[rows], **known}.items()}

    def drawn(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Frames at random: mirrored, rows for columns, photos in either order, some without."""
        chance = torch.rand(6, generator=generator)
        kind = "hot" if chance[0] < HOT and "hot" in self._painted else "cold"
        rows = torch.randint(len(self._painted[kind][0]), (count,), generator=generator)
        batch = turned(self.take(kind, rows), chance[1:4])
        if chance[4] < 0.5:
            batch |= {name: batch[name].flip(1) for name in ("photos", "inside")}
        if chance[5] < BARE:
            batch["photos"] = batch["render"][:, None].expand(-1, PHOTOS, -1, -1, -1)
            batch["inside"] = torch.zeros_like(batch["inside"])
        return batch

    def every(self, kind: str, count: int) -> list[dict[str, Tensor]]:
        """All frames of a kind, in batches."""
        return [self.take(kind, r) for r in torch.arange(len(self._painted[kind][0])).split(count)]


def turned(batch: dict[str, Tensor], chance: Tensor) -> dict[str, Tensor]:
    """Mirrored at random, and rows for columns."""
    for name, value in batch.items():
        axes = [axis for axis, drawn in ((-1, chance[0]), (-2, chance[1])) if drawn < 0.5]
        moved = value.flip(axes) if axes else value
        batch[name] = moved.transpose(-1, -2).contiguous() if chance[2] < 0.5 else moved
    return batch


def of_some(seen: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The same in the mean, of the first pictures of a batch alone."""

    def loss(images: Tensor, truth: Tensor) -> Tensor:
        some = max(1, round(FEATURED * len(images)))
        own = seen(images[:some], truth[:some]) * (len(images) / some)
        return torch.cat([own, own.new_zeros(len(images) - some)])

    return loss


@torch.no_grad()
def report(network: Finisher, frames: Frames, name: str) -> None:
    """Print how near served frames are to the truth, finished and not, and the render."""
    found: dict[str, list[Tensor]] = {}
    for batch in frames.every("served", 32):
        truth = batch.pop("truth")
        ways = {"render": batch["render"], "refined": batch["refined"]}
        for given, first in (("", batch["refined"]), ("render ", batch["render"])):
            made = network(**{**batch, "refined": first})
            ways[f"{given}finished"] = made.clamp(0, 1)
            ways[f"{given}served"] = trusted(made, first, batch["opacity"])
        for way, images in ways.items():
            row = [psnr(images, truth), ssim(images, truth), gradient_similarity(images, truth)]
            found.setdefault(way, []).append(torch.stack([*row, sharpness(images)]))
    base = torch.cat(found["render"], 1)[0]
    for way, parts in found.items():
        rows = torch.cat(parts, 1)
        means = " ".join(f"{x:.4f}" for x in rows.mean(1).tolist())
        print(f"{name}: {way:<16} {means}  worst {(rows[0] - base).min():+.2f} dB", flush=True)


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--folders", nargs="+", default=["score", "few", "few192"])
    parser.add_argument("--held", nargs="*", default=["score_fresh", "score_caps"])
    parser.add_argument("--features", type=float, default=1.5, help="weight of that term")
    parser.add_argument("--features-of", type=int, choices=(1, 2), default=2, dest="size")
    parser.add_argument("--soft", type=float, default=0.01, help="weight of too little sharpness")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    device = torch.device("cpu")
    autoencoder, _ = decoders(None, device)
    learnt = [Frames(options.data / name) for name in options.folders]
    print({n: len(f) for n, f in zip(options.folders, learnt, strict=True)}, flush=True)
    held = {name: Frames(options.data / name) for name in options.held}
    seen = of_some(feature_loss(options.size, options.features, device))
    network, averaged = Finisher().train(), Finisher().eval()
    run = Run(options, network, ema=0.995)
    quarter = begun = int(4 * run.progress)

    def told() -> None:
        averaged.load_state_dict(run.average)
        for name, part in held.items():
            report(averaged, part, name)

    while quarter < 4:
        # Sets in turn by how many frames they have, large frames counting as what they cost.
        weight = torch.tensor([float(len(frames) * frames.side**2) for frames in learnt])
        frames = learnt[int(torch.multinomial(weight, 1, generator=run.generator))]
        count = options.batch if frames.side <= LARGEST_BATCHED else max(1, options.batch // 4)
        batch = frames.drawn(count, run.generator)
        truth = batch.pop("truth")
        with half_precision():
            finished = network(**batch)
        rest = batch["opacity"], autoencoder, seen, options.soft
        loss, gain = picture_loss(finished.float(), batch["render"], truth, *rest)
        run.update(loss, gain=float(gain))
        if int(4 * run.progress) > quarter:
            quarter = int(4 * run.progress)
            told()
    if begun >= 4:  # finished before: only measured
        told()
    run.save()
    name = "finisher.safetensors"  # what `weights = FOLDER` reads
    (run.folder / name).write_bytes((run.folder / "weights.safetensors").read_bytes())


if __name__ == "__main__":
    main()
