"""Train the multi-view U-Net on prepared latents.

    python training/train_denoiser.py --data D --run R --minutes 55 --batch 4

A clip's state is ``base + (1 - u) r - v u base + sigma n`` with ``r`` the residual to learn:
``u = 0`` is ordinary diffusion; ``u = sigma / start`` is what a walk that starts at noise level
``start`` from the regression latents (``v = 0``) or from pure noise (``v = 1``) looks like on its
way down, so the network learns to undo the regression's blur wherever the engine starts. ``u = 1``
are frames held at the regression until their own start.
"""

from pathlib import Path

import numpy as np
import torch
from common import Run, arguments
from half_precision import half_precision
from torch import Tensor

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework_lite.denoiser import Denoiser, condition_maps

FRAMES, SOURCES = 8, 2
TOP = 8.0


class Latents:
    """The memory maps of prepare_latents.py."""

    def __init__(self, folder: Path) -> None:
        names = ("clean", "base", "opacity", "sources", "covered", "rays", "done")
        self.maps = {n: np.load(folder / f"{n}.npy", mmap_mode="r") for n in names}

    def take(self, name: str, scene: int) -> Tensor:
        return torch.from_numpy(np.array(self.maps[name][scene])).float()


def clip(
    data: Latents, scene: int, targets: list[int], drop: Tensor, give: bool
) -> dict[str, Tensor]:
    """One clip: first input, chosen targets (numbered from 0), last input."""
    frames = [0, *[t + 1 for t in targets], FRAMES - 1]
    clean = data.take("clean", scene)[frames]
    count = len(frames)
    base = clean.clone()
    base[1:-1] = data.take("base", scene)[targets]
    size = clean.shape[-2:]
    opacity = torch.ones(count, *size)
    opacity[1:-1] = data.take("opacity", scene)[targets]
    sources = torch.zeros(SOURCES, *clean.shape)
    covered = torch.zeros(SOURCES, count, *size)
    sources[:, 1:-1] = data.take("sources", scene)[:, targets]
    covered[:, 1:-1] = data.take("covered", scene)[:, targets]
    # Condition dropout: hide one source's renders, or both.
    for source in range(SOURCES):
        if drop[source] < 0.08 or drop[2] < 0.05:
            sources[source], covered[source] = 0, 0
    given = torch.zeros(count, dtype=torch.bool)
    given[0] = given[-1] = True
    if give and count > 3:
        chosen = 1 + int(drop[3] * (count - 2))
        given[chosen], base[chosen] = True, clean[chosen]
    rays = data.take("rays", scene)[frames]
    maps = condition_maps(base, opacity, sources, covered, given, rays)
    return {"clean": clean, "base": base, "maps": maps, "given": given}


def noisy(
    batch: dict[str, Tensor], generator: torch.Generator, deviation: float
) -> dict[str, Tensor]:
    """Noise levels, states and loss weights, one level per clip, one start per frame."""
    clips, frames = batch["clean"].shape[:2]

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    normal = torch.randn(clips, 1, generator=generator)
    sigma = (-1.1 + 1.4 * normal).exp().clamp(0.01, 10.0)
    kind = random(clips, 1)
    start = (np.log(0.05) + random(clips, frames) * np.log(TOP / 0.05)).exp()
    shared = (np.log(0.05) + random(clips, 1) * np.log(TOP / 0.05)).exp()
    start = torch.where(random(clips, 1) < 0.5, shared.expand_as(start), start)
    partial = (sigma / start).clamp(max=1.0)
    u = torch.where(kind < 0.3, 0.0, torch.where(kind < 0.5, (sigma / TOP).clamp(max=1), partial))
    v = ((kind >= 0.3) & (kind < 0.5)).float()
    u, v = u[:, :, None, None, None], v[:, :, None, None, None]
    residual = batch["clean"] - batch["base"]
    noise = torch.randn(residual.shape, generator=generator)
    s = sigma[:, :, None, None, None]
    state = (1 - u) * residual - v * u * batch["base"] + s * noise
    weight = 1 / (1 + (deviation * u / s).square())
    weight = weight * (~batch["given"])[:, :, None, None, None]
    state = state * (~batch["given"])[:, :, None, None, None]
    return {
        "residual": residual,
        "state": state,
        "sigma": sigma.expand(-1, frames),
        "weight": weight,
    }


def main() -> None:
    """Run the command line."""
    options = arguments(__doc__ or "").parse_args()
    torch.manual_seed(options.seed)
    network = Denoiser()
    network.train()
    print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters")
    data = Latents(options.data / "latents" / "train")
    first = np.flatnonzero(data.maps["done"])[:64]
    spread = [(data.take("clean", i)[1:-1] - data.take("base", i)).square().mean() for i in first]
    network.deviation.fill_(float(torch.stack(spread).mean().sqrt()))
    run = Run(options, network)
    deviation = float(network.deviation)
    print(f"residual deviation {deviation:.3f}")
    while run.progress < 1:
        generator = run.generator
        ready = np.flatnonzero(data.maps["done"])
        pick = torch.randint(len(ready), (options.batch,), generator=generator)
        count = int(torch.randint(2, 7, (), generator=generator))
        clips = []
        for i in pick.tolist():
            chosen = torch.randperm(6, generator=generator)[:count].sort().values.tolist()
            drop = torch.rand(5, generator=generator)
            clips.append(clip(data, int(ready[i]), chosen, drop, give=bool(drop[4] < 0.15)))
        batch = {name: torch.stack([c[name] for c in clips]) for name in clips[0]}
        made = noisy(batch, generator, deviation)
        flat = {name: value.flatten(0, 1) for name, value in {**batch, **made}.items()}
        with half_precision():
            out = network.raw(flat["state"], flat["sigma"], flat["maps"], DenseExecutor(count + 2))
        skip, scale, _ = network.coefficients(flat["sigma"][:, None, None, None])
        wanted = (flat["residual"] - skip * flat["state"]) / scale
        error = flat["weight"] * (out.float() - wanted).square()
        loss = error.mean() / flat["weight"].mean().clamp(min=1e-3)
        run.update(loss, frames=float(count + 2))
    run.save()


if __name__ == "__main__":
    main()
