"""Clips that prepare_refinement.py made, and batches drawn from them."""

from pathlib import Path

import numpy as np
import torch
from prepare_refinement import INPUT, TARGET
from torch import Tensor

from sphinx_framework_lite.autoencoder import LATENT_CHANNELS


class Clips:
    """The memory maps of prepare_refinement.py, of one split."""

    def __init__(self, folder: Path) -> None:
        names = ("kind", "clean", "maps", "opacity", "lost", "truth", "done")
        self.maps = {n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in names}

    def ready(self) -> np.ndarray:
        """Numbers of the clips that are prepared."""
        return np.flatnonzero(self.maps["done"])

    def take(self, name: str, clip: int, frames: list[int]) -> Tensor:
        """Frames of one clip as float32; pictures in [0, 1]."""
        rows = torch.from_numpy(np.array(self.maps[name][clip])[frames]).float()
        return rows / 255 if name in ("opacity", "truth") else rows


def drawn(clips: Clips, count: int, generator: torch.Generator, drop: bool) -> dict[str, Tensor]:
    """Clips with all inputs and two to five of the targets, the same number of frames in each."""
    ready = clips.ready()
    pick = torch.randint(len(ready), (count,), generator=generator).tolist()
    kinds = [clips.maps["kind"][ready[i]] for i in pick]
    inputs = max(int((kind == INPUT).sum()) for kind in kinds)
    frames = inputs + int(torch.randint(2, 6, (), generator=generator))
    batch: dict[str, list[Tensor]] = {}
    for i, kind in zip(pick, kinds, strict=True):
        photos, targets = np.flatnonzero(kind == INPUT), np.flatnonzero(kind == TARGET)
        order = torch.randperm(len(targets), generator=generator).numpy()
        chosen = sorted([*photos.tolist(), *targets[order[: frames - len(photos)]].tolist()])
        row = {name: clips.take(name, int(ready[i]), chosen) for name in clips.maps
               if name not in ("done", "kind")}  # fmt: skip
        row["given"] = torch.from_numpy(kind[chosen] == INPUT)
        row["base"] = row["maps"][:, :LATENT_CHANNELS].clone()
        if drop:
            _hide_sources(row, torch.rand(3, generator=generator))
        for name, value in row.items():
            batch.setdefault(name, []).append(value)
    shortest = min(len(rows) for rows in batch["given"])
    return {n: torch.stack([v[:shortest] for v in values]) for n, values in batch.items()}


def _hide_sources(row: dict[str, Tensor], chance: Tensor) -> None:
    """Condition dropout: hide one source's renders, or both."""
    width = LATENT_CHANNELS + 1
    for source in range(2):
        if chance[source] < 0.04 or chance[2] < 0.03:
            row["maps"][~row["given"], (1 + source) * width : (2 + source) * width] = 0
