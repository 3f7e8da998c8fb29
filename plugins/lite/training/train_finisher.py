"""Train the finisher: what of a refined frame and of its render the served frame is made of.

    python training/train_finisher.py --data training/data --run training/runs/finisher --minutes 20

Reads clips of ``prepare_refinement.py`` and answers to them of ``prepare_answers.py``; neither the
U-Net nor the autoencoder changes. The loss is that of ``train_refinement.py`` on finished frames.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from clips import Clips
from common import Run, arguments
from decoders import decoders
from feature_loss import feature_loss
from prepare_refinement import TARGET
from torch import Tensor
from train_refinement import LARGEST_BATCHED, picture_loss

from sphinx_framework_lite.autoencoder import LATENT_CHANNELS, Autoencoder
from sphinx_framework_lite.finisher import Finisher

PROVEN = 0.3
NAMES = ("frame", "render", "opacity", "truth")


@dataclass(frozen=True, slots=True)
class Frames:
    """Refined frames (with carried detail), their renders and truths, of one split."""

    maps: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.maps["frame"])

    def take(self, rows: Tensor) -> dict[str, Tensor]:
        """Rows as float32."""
        found = {name: self.maps[name][rows].float() for name in NAMES}
        return {n: v / 255 if n in ("opacity", "truth") else v for n, v in found.items()}


@torch.no_grad()
def answered(data: Path, split: str, autoencoder: Autoencoder) -> Frames:
    """Decode the stored answers of a split, once."""
    clips = Clips(data / "refinement" / split)
    folder = data / "answers" / split
    answers = np.load(folder / "answers.npy", mmap_mode="r")
    done = np.load(folder / "done.npy", mmap_mode="r")
    parts: dict[str, list[Tensor]] = {name: [] for name in NAMES}
    for clip in np.flatnonzero(done).tolist():
        targets = np.flatnonzero(clips.maps["kind"][clip] == TARGET)
        shown = clips.maps["opacity"][clip][targets].mean((1, 2)) >= 255 * PROVEN
        frames = targets[shown].tolist()
        if not frames:
            continue
        base = clips.take("maps", clip, frames)[:, :LATENT_CHANNELS]
        lost = clips.take("lost", clip, frames)
        opacity = clips.take("opacity", clip, frames)
        render = (autoencoder.decode(base) + lost).clamp(0, 1)
        for latents in np.array(answers[clip][:, frames]):
            decoded = autoencoder.decode(torch.from_numpy(latents).float())
            parts["frame"].append((decoded + opacity[:, None] * lost).clamp(0, 1).half())
            parts["render"].append(render.half())
            for name in ("opacity", "truth"):
                rows = np.array(clips.maps[name][clip][frames])
                parts[name].append(torch.from_numpy(rows))
    return Frames({name: torch.cat(rows) for name, rows in parts.items()})


def turned(batch: dict[str, Tensor], chance: Tensor) -> dict[str, Tensor]:
    """Mirrored at random, and rows for columns."""
    for name, value in batch.items():
        axes = [axis for axis, drawn in ((-1, chance[0]), (-2, chance[1])) if drawn < 0.5]
        moved = value.flip(axes) if axes else value
        batch[name] = moved.transpose(-1, -2).contiguous() if chance[2] < 0.5 else moved
    return batch


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--splits", nargs="+", default=["photos", "train"])
    parser.add_argument("--features", type=float, default=2.0, help="weight of that term")
    parser.add_argument("--features-of", type=int, choices=(1, 2), default=2, dest="size")
    parser.add_argument("--soft", type=float, default=0.02, help="weight of too little sharpness")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    device = torch.device("cpu")
    autoencoder, _ = decoders(None, device)
    splits = [answered(options.data, name, autoencoder) for name in options.splits]
    print({n: len(s) for n, s in zip(options.splits, splits, strict=True)}, flush=True)
    network = Finisher().train()
    seen = feature_loss(options.size, options.features, device)
    run = Run(options, network, ema=0.995)
    while run.progress < 1:
        split = splits[run.step % len(splits)]
        large = split.maps["truth"].shape[-1] > LARGEST_BATCHED
        count = max(1, options.batch // 4) if large else options.batch
        rows = torch.randint(len(split), (count,), generator=run.generator)
        batch = turned(split.take(rows), torch.rand(3, generator=run.generator))
        finished = network(batch["frame"], batch["render"], batch["opacity"])
        rest = batch["opacity"], autoencoder, seen, options.soft
        loss, gain = picture_loss(finished, batch["render"], batch["truth"], *rest)
        run.update(loss, gain=float(gain))
    run.save()
    name = "finisher.safetensors"  # what `weights = FOLDER` and check_refinement.py read
    (run.folder / name).write_bytes((run.folder / "weights.safetensors").read_bytes())


if __name__ == "__main__":
    main()
