"""Gate of the U-Net's second training: one Euler step on held-out clips, against the regression.

    python training/check_refinement.py --data D --splits held --weights OLD NEW

Prints PSNR, SSIM, GMS and feature distance of the composed frames (as the product serves them) of
clips of ``prepare_refinement.py --held-out``: the regression stage, then every file of weights from
every start, alone or mixed with the render (``--weights-of-render``: as ``composite.render_share``
times the share of the steps before the start). Targets that the product serves as rendered (mean
opacity below .4) are left out.
"""

import argparse
from functools import lru_cache
from pathlib import Path

import torch
from prepare_refinement import TARGET
from safetensors.torch import load_file
from torch import Tensor
from train_refinement import STEPS, Clips, stepped

from sphinx_framework.metrics import gradient_similarity, psnr, ssim
from sphinx_framework.perceptual import Distance
from sphinx_framework.samplers import karras_sigmas
from sphinx_framework.study.evaluate.features import load_features
from sphinx_framework_lite.autoencoder import LATENT_CHANNELS, Autoencoder
from sphinx_framework_lite.config import DiffusionConfig
from sphinx_framework_lite.denoiser import Denoiser
from sphinx_framework_lite.weights import build

PROVEN = 0.4


@lru_cache(maxsize=1)
def feature_distance() -> Distance | None:
    """The independent perceptual distance, loaded once."""
    return load_features(torch.device("cpu")).distance


def measured(images: Tensor, truth: Tensor) -> Tensor:
    """PSNR, SSIM, GMS and the feature distance (0 where its package is not here), ``[T, 4]``."""
    values = [measure(images, truth) for measure in (psnr, ssim, gradient_similarity)]
    distance = feature_distance()
    values.append(torch.zeros(len(images)) if distance is None else distance(images, truth))
    return torch.stack(values, dim=1)


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["held"])
    parser.add_argument("--weights", type=Path, nargs="+", required=True)
    parser.add_argument("--starts", type=int, nargs="+", default=[25, 30, 35, 40])
    parser.add_argument("--steps", type=int, default=1, choices=(1, 2))
    parser.add_argument("--weights-of-render", type=float, nargs="+", default=[0.0], dest="shares")
    options = parser.parse_args()
    torch.set_num_threads(1)
    decoder = build(Autoencoder, "autoencoder", "packaged", torch.device("cpu"))
    grid = DiffusionConfig.model_construct()
    sigmas = tuple(karras_sigmas(STEPS, grid.sigma_min, grid.sigma_max, grid.rho).tolist())
    networks = {}
    for path in options.weights:
        networks[path] = Denoiser().eval()
        networks[path].load_state_dict({k: v.float() for k, v in load_file(path).items()})
    rows: dict[str, list[Tensor]] = {}
    splits = [Clips(options.data / "refinement" / name) for name in options.splits]
    for clips, clip in [(split, clip) for split in splits for clip in split.ready().tolist()]:
        kinds = clips.maps["kind"][clip]
        every = list(range(len(kinds)))
        names = ("maps", "opacity", "lost", "truth")
        row = {name: clips.take(name, clip, every) for name in names}
        row["given"] = torch.from_numpy(kinds != TARGET)
        row["base"] = row["maps"][:, :LATENT_CHANNELS]
        kept = [f for f in every if not row["given"][f] and row["opacity"][f].mean() >= PROVEN]
        if not kept:
            continue
        carried = row["opacity"][kept, None] * row["lost"][kept]
        render = (decoder.decode(row["base"][kept]) + row["lost"][kept]).clamp(0, 1)
        rows.setdefault("regression", []).append(measured(render, row["truth"][kept]))
        batch = {name: value[None] for name, value in row.items()}
        for path, network in networks.items():
            for start in options.starts:
                generator = torch.Generator().manual_seed(clip)
                clean = stepped(network, batch, sigmas, start, options.steps, generator)
                images = (decoder.decode(clean[kept]) + carried).clamp(0, 1)
                for share in options.shares:
                    told = f", {share:g} of the render" if share else ""
                    name = f"{path.parent.name}/{path.stem} start {start}{told}"
                    mixed = images + share * (render - images)
                    rows.setdefault(name, []).append(measured(mixed, row["truth"][kept]))
    base = torch.cat(rows["regression"])
    print(f"{len(rows['regression'])} clips, {len(base)} frames")
    for name, found in rows.items():
        values = torch.cat(found)
        worse = (values - base)[:, 0]
        mean = values.mean(0).tolist()
        print(
            f"{name:<44} {mean[0]:.3f} {mean[1]:.4f} {mean[2]:.4f} {mean[3]:.4f}  "
            f"worst {float(worse.min()):+.2f} dB  below -0.5 dB: {int((worse < -0.5).sum())}"
        )


if __name__ == "__main__":
    main()
