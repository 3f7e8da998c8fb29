"""Measure plain diffusion and starts from the regression on calibration scenes.

python training/check_denoiser.py --data D --weights W --scenes 12
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import Scenes
from prepare_latents import stored_scene
from similarity import gradient_similarity, psnr, sharpness, ssim
from torch import Tensor
from walks import Clip, spread_steps

from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.types import CoarseViews, Scene
from sphinx_framework_lite.config import DiffusionConfig, QualityConfig, RegressionConfig
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.quality import LiteQuality
from sphinx_framework_lite.regression import LiteRegression

STEPS = 50


def walks(
    model: LiteDiffusion, scene: Scene, coarse: CoarseViews, clip: Clip, few: SigmaSampler
) -> dict[str, Callable[[], Tensor]]:
    """Everything that is compared, by name."""
    truth = scene.target_images
    assert truth is not None
    grid = model.sampler(STEPS)
    results: dict[str, Callable[[], Tensor]] = {
        "ground truth": lambda: truth,
        "AE of ground truth": lambda: model.decode(model.encode(truth)),
        "regression": lambda: coarse.images,
        "regression after AE": lambda: model.decode(clip.clean[clip.targets]),
    }
    for count in (50, 25, 10, 5, 2):
        results[f"diffusion {count}"] = partial(
            clip.walk, grid, spread_steps(0, count, STEPS), from_noise=True
        )
    results["diffusion 10 dpmpp_2m"] = partial(
        clip.walk, few, spread_steps(0, 10, STEPS), from_noise=True
    )
    for k in (10, 20, 25, 30, 35, 40):
        results[f"start {k}"] = partial(clip.walk, grid, list(range(k, STEPS)))
    results["start 20, 5 steps dpmpp_2m"] = partial(clip.walk, few, spread_steps(20, 5, STEPS))
    return results


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="packaged")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="PNG of a few scenes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    regression = LiteRegression(RegressionConfig(weights=options.weights), device)
    model = LiteDiffusion(DiffusionConfig(weights=options.weights, precision="native"), device)
    scorer = LiteQuality(QualityConfig(weights=options.weights), device)
    few = LiteDiffusion(
        DiffusionConfig(weights=options.weights, solver="dpmpp_2m"), device
    ).sampler(STEPS)
    scenes = Scenes(options.data / "calibration")
    rows: dict[str, list[torch.Tensor]] = {}
    sheet = []
    for index in range(options.first, options.first + options.scenes):
        scene = stored_scene(scenes, index)
        truth = scene.target_images
        coarse = regression.predict(scene)
        hole = (coarse.opacity < 0.3).float()
        clip = Clip(model, scene, coarse, seed=index)
        results = walks(model, scene, coarse, clip, few)
        strip = []
        for name, make in results.items():
            started = time.process_time()
            images = make()
            seconds = time.process_time() - started
            values = [
                psnr(images, truth),
                psnr(images, truth, hole),
                ssim(images, truth),
                gradient_similarity(images, truth),
                sharpness(images),
                scorer.score(images),
                torch.full((len(images),), seconds),
            ]
            rows.setdefault(name, []).append(torch.stack(values, 1).mean(0))
            if name in (
                "ground truth",
                "regression",
                "diffusion 50",
                "diffusion 2",
                "start 20",
                "start 35",
            ):
                strip.append(torch.cat(list(images[[1, 3]]), 2))
        sheet.append(torch.cat(strip, 2))
    print(f"{'':28s}   PSNR   hole   SSIM   GMS    lap   score   CPU-s")
    for name, values in rows.items():
        m = torch.stack(values).mean(0).tolist()
        print(
            f"{name:28s} {m[0]:6.2f} {m[1]:6.2f}  {m[2]:.3f}  {m[3]:.3f}  {m[4]:.2f}  "
            f"{m[5]:6.2f}  {m[6]:.2f}"
        )
    if options.sheet:
        from PIL import Image

        pixels = torch.cat(sheet[:8], 1).permute(1, 2, 0).numpy()
        Image.fromarray((pixels * 255).astype(np.uint8)).save(options.sheet)


if __name__ == "__main__":
    main()
