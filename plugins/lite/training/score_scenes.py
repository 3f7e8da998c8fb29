"""Make what the score and the guard learn from: frames as served, and many that went wrong.

    python training/score_scenes.py --out D/score --photos P --first 300 --count 90

Scenes in turns: procedural ones, the same dressed in photographs, and layered photographs
(``stored_scenes.py``). Frames come from walks at the shipped temperature and at 1, and from the
same network with worn weights (every weight changed by a random share of its layer's deviation):
what a worse model paints. They carry what the autoencoder lost of the render, as the product serves
them. One file a scene, so that a killed run goes on. ``--split report`` takes the plain scenes of
that split only, ``--captures FOLDER:4-10,8-18`` pairs of frames of posed captures; ``--walks few``
makes three of the walks at the shipped temperature, for the finisher's training.
"""

import argparse
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from render_scenes import SIDE
from stored_scenes import drawn, stored
from torch import Tensor
from walks import STEPS, Clip, spread_steps

from sphinx_framework.types import CoarseViews, Scene
from sphinx_framework_lite.config import DiffusionConfig, RegressionConfig
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.regression import LiteRegression

SHIPPED, SAMPLE = 0.15, 1.0
COLD = ((0, 1), (0, 5), (20, 1), (20, 3), (30, 1), (30, 3), (40, 1))
WARM = ((0, 1), (0, 3), (0, 8), (10, 3), (20, 2), (30, 1), (30, 3))
WORN = ((0, 1), (0, 3), (20, 2), (30, 1), (40, 1))
LONG = ((0, 25),)
FEW = ((40, 1), (30, 2), (0, 3))
WEAR = (0.15, 0.5)


def worn(model: LiteDiffusion, share: float, seed: int) -> LiteDiffusion:
    """The model with every weight of its U-Net moved by ``share`` of its tensor's deviation."""
    other = deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for weight in other._denoiser.parameters():
        if weight.ndim > 1:
            moved = torch.randn(weight.shape, generator=generator)
            weight.data += share * weight.std() * moved
    return other


def systems(
    models: dict[float, LiteDiffusion], scene: Scene, coarse: CoarseViews, seed: int, walks: str
) -> Iterator[tuple[str, Tensor]]:
    """Images of every system with its name, with the render's detail, as they are judged."""
    opacity = torch.ones_like(coarse.images[:, :1])
    if coarse.opacity is not None:
        opacity = coarse.opacity[:, None]
    wear = float(np.random.default_rng([seed, 31]).uniform(*WEAR))
    long = seed % 4 == 1
    drawn_models = [(f"at {SHIPPED:g}", models[SHIPPED], FEW)]
    if walks == "all":
        drawn_models = [
            (f"at {SHIPPED:g}", models[SHIPPED], COLD + LONG * long),
            (f"at {SAMPLE:g}", models[SAMPLE], WARM + LONG * long),
            (f"worn {wear:.2f}", worn(models[SHIPPED], wear, seed), WORN),
        ]
    yield "regression", coarse.images
    for name, model, plans in drawn_models:
        clip = Clip(model, scene, coarse, seed=seed)
        lost = opacity * (coarse.images - model.decode(clip.clean[clip.targets]))
        grid = model.sampler(STEPS)
        for first, count in plans:
            steps = spread_steps(first, count, STEPS)
            images = clip.walk(grid, steps, from_noise=first == 0)
            yield f"start {first} steps {count} {name}", (images + lost).clamp(0, 1)


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: none)")
    parser.add_argument("--split", default="train")
    parser.add_argument("--captures", nargs="*", metavar="FOLDER:FIRST-LAST,...")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--walks", choices=("all", "few"), default="all", help="few: as served")
    parser.add_argument("--first", type=int, default=300)
    parser.add_argument("--count", type=int, default=90)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    stage = LiteRegression(RegressionConfig.model_construct(), device)
    models = {
        warm: LiteDiffusion(
            DiffusionConfig.model_construct(precision="native", temperature=warm), device
        )
        for warm in (SHIPPED, SAMPLE)
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for index, scene in drawn(options):
        coarse = stage.predict(scene)
        found = dict(systems(models, scene, coarse, index, options.walks))
        half = (options.out / f"{index:04d}").with_suffix(".tmp.npz")
        np.savez(half, **stored(scene, coarse, found))
        half.replace(options.out / f"{index:04d}.npz")
        print(f"{index:04d}.npz", scene.name, flush=True)


if __name__ == "__main__":
    main()
