"""What the U-Net answers on prepared clips, once: the finisher's training reads the result.

    python training/prepare_answers.py --data training/data --split photos --weights W

Every clip gets two answers of the targets' latents: a walk from noise (fifty, ten, three steps or
one) and a late start (one to three steps), mostly at the temperature that is shipped.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from check_refinement import walked
from clips import Clips
from memory_maps import memory_maps
from prepare_refinement import TARGET
from safetensors.torch import load_file
from train_refinement import LARGEST_BATCHED, STEPS

from sphinx_framework.frame_plan import FramePlan
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework_lite.autoencoder import LATENT_CHANNELS
from sphinx_framework_lite.config import DiffusionConfig
from sphinx_framework_lite.denoiser import Denoiser

ANSWERS = 2
COLD, COLD_SHARE = 0.15, 0.85


def drawn_plans(random: np.random.Generator, large: bool) -> list[str]:
    """A walk from noise, shorter for large clips, and a late start."""
    lengths, chances = [50, 10, 3, 1], [0.2, 0.5, 0.15, 0.15]
    if large:
        lengths, chances = [6, 3, 1], [0.6, 0.2, 0.2]
    start = int(random.integers(20, 45))
    return [f"0x{random.choice(lengths, p=chances)}", f"{start}x{random.integers(1, 4)}"]


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--weights", type=Path, required=True, help="of the U-Net")
    parser.add_argument("--plans", nargs="+", help="the same for every clip (default: drawn)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = Denoiser().eval()
    network.load_state_dict({k: v.float() for k, v in load_file(options.weights).items()})
    grid = DiffusionConfig.model_construct()
    sigmas = karras_sigmas(STEPS, grid.sigma_min, grid.sigma_max, grid.rho)
    clips = Clips(options.data / "refinement" / options.split)
    count, frames, _, height, width = clips.maps["truth"].shape
    answers = len(options.plans or ()) or ANSWERS
    cells = clips.maps["maps"].shape[-2:]
    each = {
        "answers": ((count, answers, frames, LATENT_CHANNELS, *cells), np.float16),
        "done": ((count,), np.uint8),
    }
    out = memory_maps(options.data / "answers" / options.split, each)
    for clip in clips.ready().tolist():
        if out["done"][clip]:
            continue
        random = np.random.default_rng([clip, 57])
        kinds = clips.maps["kind"][clip]
        rows = clips.take("maps", clip, list(range(frames)))
        row = {"maps": rows, "base": rows[:, :LATENT_CHANNELS]}
        row["given"] = torch.from_numpy(kinds != TARGET)
        plans = options.plans or drawn_plans(random, max(height, width) > LARGEST_BATCHED)
        for number, plan in enumerate(plans):
            warm = COLD if options.plans or random.random() < COLD_SHARE else 1.0
            sampler = SigmaSampler(sigmas, temperature=warm)
            latents = walked(network, row, sampler, FramePlan.parse(plan), seed=clip)
            out["answers"][clip, number] = latents.numpy()
        out["done"][clip] = 1
        if clip % 20 == 0:
            print(options.split, clip, flush=True)


if __name__ == "__main__":
    main()
