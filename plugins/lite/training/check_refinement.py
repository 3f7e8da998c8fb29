"""Gate of the U-Net's training: plans on held-out clips, against the regression.

    python training/check_refinement.py --data D --splits held --weights OLD NEW

Prints PSNR, SSIM, GMS, feature distance and sharpness (log variance of the Laplacian of 255 times
the grey picture) of the composed frames (as the product serves them) of clips of
``prepare_refinement.py --held-out``: the truth, the regression stage, then every file of weights by
every plan and temperature, alone or mixed with the render (``--weights-of-render``: as
``composite.render_share`` times the share of the steps before the start). Targets that prove little
(mean opacity below .4) are left out.
"""

import argparse
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path

import torch
from clips import Clips
from decoders import decoders, renders
from half_precision import half_precision
from prepare_refinement import TARGET
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from train_refinement import STEPS

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.frame_plan import FramePlan
from sphinx_framework.metrics import gradient_similarity, psnr, ssim
from sphinx_framework.perceptual import Distance
from sphinx_framework.protocols import SolverStep
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.study.evaluate.features import load_features
from sphinx_framework_lite.autoencoder import LATENT_CHANNELS
from sphinx_framework_lite.config import DiffusionConfig
from sphinx_framework_lite.denoiser import Denoiser, LiteCondition

PROVEN = 0.4


@lru_cache(maxsize=1)
def feature_distance() -> Distance | None:
    """The perceptual distance of studies, loaded once."""
    return load_features(torch.device("cpu")).distance


def sharpness(images: Tensor) -> Tensor:
    """Log variance of the Laplacian, ``[T]``."""
    grey = 255 * images.mean(dim=1, keepdim=True)
    kernel = grey.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    return functional.conv2d(grey, kernel).flatten(1).var(dim=1).log()


def measured(images: Tensor, truth: Tensor) -> Tensor:
    """PSNR, SSIM, GMS, feature distance (0 without its package), sharpness: ``[T, 5]``."""
    values = [measure(images, truth) for measure in (psnr, ssim, gradient_similarity)]
    distance = feature_distance()
    values.append(torch.zeros(len(images)) if distance is None else distance(images, truth))
    return torch.stack([*values, sharpness(images)], dim=1)


def walked(
    network: Denoiser, row: dict[str, Tensor], sampler: SigmaSampler, plan: FramePlan, seed: int
) -> Tensor:
    """Clean latents of a clip after a plan's Euler steps; a start at 0 is from noise alone."""
    condition = LiteCondition(
        base=row["base"], maps=row["maps"], given=row["given"], sigmas=tuple(sampler.sigmas)
    )
    noise = torch.randn(row["base"].shape, generator=torch.Generator().manual_seed(seed))
    origin = row["base"] if plan.start > 0 else torch.zeros_like(noise)
    x = sampler.noised(origin, noise, plan.start)
    visited = plan.walk.visited(plan.start, STEPS)
    for step, after in zip(visited, [*visited[1:], STEPS], strict=True):
        level = torch.full((len(x),), sampler.sigmas[step])
        with half_precision():
            clean = network(x, level, condition, DenseExecutor(len(x))).float()
        move = SolverStep(step=step, next_step=after, previous=None, draw=lambda: noise)
        x = sampler.advance(x, clean, move)
    return x


def proven(folders: list[Path], every: int) -> Iterator[tuple[int, dict[str, Tensor], list[int]]]:
    """Clips with their numbers, and which of their frames the product would refine."""
    for split in map(Clips, folders):
        for clip in split.ready()[::every].tolist():
            kinds = split.maps["kind"][clip]
            frames = list(range(len(kinds)))
            names = ("maps", "opacity", "lost", "truth")
            row = {name: split.take(name, clip, frames) for name in names}
            row["given"] = torch.from_numpy(kinds != TARGET)
            row["base"] = row["maps"][:, :LATENT_CHANNELS]
            shown = row["opacity"].mean((1, 2)) >= PROVEN
            kept = [f for f in frames if shown[f] and not row["given"][f]]
            if kept:
                yield clip, row, kept


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["held"])
    parser.add_argument("--weights", type=Path, nargs="+", required=True)
    parser.add_argument("--plans", nargs="+", default=["40x1"], help="as 40x1, or 0x50")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0])
    parser.add_argument("--every", type=int, default=1, help="one of so many clips of a split")
    parser.add_argument("--weights-of-render", type=float, nargs="+", default=[0.0], dest="shares")
    parser.add_argument("--decoder", type=Path, help="weights of another autoencoder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepared_with, decoder = decoders(options.decoder, torch.device("cpu"))
    grid = DiffusionConfig.model_construct()
    sigmas = karras_sigmas(STEPS, grid.sigma_min, grid.sigma_max, grid.rho)
    networks = {}
    for path in options.weights:
        networks[path] = Denoiser().eval()
        networks[path].load_state_dict({k: v.float() for k, v in load_file(path).items()})
    rows: dict[str, list[Tensor]] = {}
    folders = [options.data / "refinement" / name for name in options.splits]
    for clip, row, kept in proven(folders, options.every):
        shown = {name: row[name][kept] for name in ("base", "opacity", "lost", "truth")}
        render, lost = renders(shown, prepared_with, decoder)
        carried, render = shown["opacity"][:, None] * lost, render.clamp(0, 1)
        truth = shown["truth"]
        rows.setdefault("truth", []).append(measured(truth, truth))
        rows.setdefault("regression", []).append(measured(render, truth))
        every_way = product(networks.items(), map(FramePlan.parse, options.plans))
        for ((path, network), plan), warm in product(every_way, options.temperatures):
            sampler = SigmaSampler(sigmas, temperature=warm)
            clean = walked(network, row, sampler, plan, seed=clip)
            images = (decoder.decode(clean[kept]) + carried).clamp(0, 1)
            name = f"{path.parent.name}/{path.stem} {plan.text()} at {warm:g}"
            for share in options.shares:
                told = f", {share:g} of the render" if share else ""
                mixed = images + share * (render - images)
                rows.setdefault(name + told, []).append(measured(mixed, truth))
    base = torch.cat(rows["regression"])
    print(f"{len(rows['regression'])} clips, {len(base)} frames")
    for name, found in rows.items():
        values = torch.cat(found)
        worse = (values - base)[:, 0]
        mean = values.mean(0).tolist()
        print(
            f"{name:<44} {mean[0]:.3f} {mean[1]:.4f} {mean[2]:.4f} {mean[3]:.4f} {mean[4]:.2f}  "
            f"worst {float(worse.min()):+.2f} dB  below -0.5 dB: {int((worse < -0.5).sum())}"
        )


if __name__ == "__main__":
    main()
