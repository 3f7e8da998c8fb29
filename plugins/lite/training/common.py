"""What the trainers share: the time budget, checkpoints, curves, averaged weights, data."""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from muon import Muon
from safetensors.torch import save_file
from torch import Tensor, nn


def arguments(description: str) -> argparse.ArgumentParser:
    """The options of every trainer."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder of render_scenes.py")
    parser.add_argument("--run", type=Path, required=True, help="checkpoint and curve folder")
    parser.add_argument("--minutes", type=float, required=True, help="CPU minutes of all runs")
    parser.add_argument("--wall-minutes", type=float, default=0, help="also stop then (0: never)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--optimiser", choices=("adamw", "muon"), default="adamw")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--warm-up", type=int, default=100, help="steps until the peak rate")
    return parser


class Run:
    """A resumable training run bounded by CPU time, and by wall-clock time if asked for.

    The learning rate warms up (``--warm-up`` steps), stays, and falls to zero (half a cosine) over
    the last 60 % of the budget. Averaged weights (EMA) are what gets exported.
    """

    def __init__(self, options: Any, network: nn.Module, ema: float = 0.998) -> None:
        torch.set_num_threads(options.threads)
        self.folder: Path = options.run
        self.folder.mkdir(parents=True, exist_ok=True)
        self.budget = options.minutes * 60
        self.wall_budget = options.wall_minutes * 60
        self.peak = options.rate
        self.warm_up: int = options.warm_up
        self.network = network
        self.ema = ema
        self.average = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.kind: str = options.optimiser
        self.optimiser: torch.optim.Optimizer
        if self.kind == "muon":
            self.optimiser = Muon(network, options.rate)
        else:
            self.optimiser = torch.optim.AdamW(
                network.parameters(), lr=options.rate, weight_decay=1e-2, betas=(0.9, 0.98)
            )
        self.step, self.used, self.wall = 0, 0.0, 0.0
        self.start, self.wall_start = time.process_time(), time.time()
        self.saved = self.logged = time.time()
        self.sums: dict[str, list[float]] = {}
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            network.load_state_dict(state["network"])
            self.average = state["average"]
            if state.get("kind", "adamw") == self.kind:
                self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.used, self.wall = state["step"], state["used"], state["wall"]
            print(f"resumed at step {self.step}, {self.used:.0f} s used", flush=True)
        self.generator = torch.Generator().manual_seed(options.seed + 7919 * self.step)

    @property
    def seconds(self) -> float:
        """CPU seconds of all runs so far."""
        return self.used + time.process_time() - self.start

    @property
    def wall_seconds(self) -> float:
        """Wall-clock seconds of all runs so far."""
        return self.wall + time.time() - self.wall_start

    @property
    def progress(self) -> float:
        """Share of the tighter budget that is used."""
        walled = self.wall_seconds / self.wall_budget if self.wall_budget else 0.0
        return max(self.seconds / self.budget, walled)

    def update(self, loss: Tensor, **values: float) -> None:
        """One optimiser step, then logging and checkpointing as due."""
        p = self.progress
        decay = 1.0 if p < 0.4 else 0.5 + 0.5 * math.cos(math.pi * min(1.0, (p - 0.4) / 0.6))
        rate = self.peak * min(1.0, (self.step + 1) / self.warm_up) * max(decay, 0.01)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        ema = min(self.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, 1 - ema)
        for name, value in {"loss": float(loss.detach()), **values}.items():
            self.sums.setdefault(name, []).append(value)
        if time.time() - self.logged > 20:
            means = {k: round(sum(v) / len(v), 5) for k, v in self.sums.items()}
            self.log(rate=round(rate, 7), **means)
            self.sums, self.logged = {}, time.time()
        if time.time() - self.saved > 60:
            self.save()

    def log(self, **values: float) -> None:
        values = {
            "step": self.step,
            "cpu_seconds": round(self.seconds, 1),
            "wall_seconds": round(self.wall_seconds, 1),
            **values,
        }
        line = json.dumps(values)
        with (self.folder / "curve.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "kind": self.kind,
            "step": self.step,
            "used": self.seconds,
            "wall": self.wall_seconds,
        }
        torch.save(state, self.folder / "checkpoint.tmp")
        (self.folder / "checkpoint.tmp").replace(self.folder / "checkpoint.pt")
        save_file(
            {k: v.half().contiguous() for k, v in self.average.items()},
            self.folder / "weights.safetensors",
        )
        self.saved = time.time()


class Scenes:
    """The memory maps of one split."""

    def __init__(self, folder: Path) -> None:
        names = ("images", "depth", "poses", "intrinsics", "range", "done")
        self.maps = {n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in names}

    def ready(self) -> np.ndarray:
        """Numbers of the scenes that are rendered."""
        return np.flatnonzero(self.maps["done"])

    def take(self, name: str, scenes: np.ndarray) -> Tensor:
        """Rows of one map as float32; images become ``[B, F, 3, H, W]`` in [0, 1]."""
        rows = torch.from_numpy(np.ascontiguousarray(self.maps[name][scenes]))
        if name == "images":
            return rows.permute(0, 1, 4, 2, 3).float() / 255
        return rows.float()
