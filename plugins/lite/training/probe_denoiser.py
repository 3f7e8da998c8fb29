"""Error of the predicted residual over its power, by noise level and start, on training scenes.

    python training/probe_denoiser.py --data D --run R

1 means no better than the regression; below 1 the network knows more than it.
"""

import argparse
from pathlib import Path

import torch
from half_precision import half_precision
from safetensors.torch import load_file
from train_denoiser import FRAMES, Latents, clip

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework_lite.denoiser import Denoiser


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = Denoiser().eval()
    state = load_file(options.run / "weights.safetensors")
    network.load_state_dict({k: v.float() for k, v in state.items()})
    data = Latents(options.data / "latents" / "train")
    clips = [
        clip(data, i, list(range(6)), torch.ones(5), give=False)
        for i in range(options.first, options.first + options.scenes)
    ]
    flat = {name: torch.cat([c[name] for c in clips]) for name in clips[0]}
    residual = flat["clean"] - flat["base"]
    noise = torch.randn(residual.shape, generator=torch.Generator().manual_seed(0))
    targets = ~flat["given"]
    for u in (0.0, 0.5, 1.0):
        row = []
        for sigma in (0.03, 0.1, 0.3, 1.0, 3.0, 8.0):
            level = torch.full((len(residual),), sigma)
            x = ((1 - u) * residual + sigma * noise) * targets[:, None, None, None]
            with half_precision():
                out = network.raw(x, level, flat["maps"], DenseExecutor(FRAMES)).float()
            skip, scale, _ = network.coefficients(level[:, None, None, None])
            error = (skip * x + scale * out - residual)[targets].square().mean()
            row.append(f"{sigma:g}: {float(error / residual[targets].square().mean()):.3f}")
        print(f"u = {u:g}   " + "   ".join(row))


if __name__ == "__main__":
    main()
