"""Train the no-reference score on regression renders, degraded photos and model outputs.

    python training/train_quality.py --data D --weights W --run R

The target is the similarity to ground truth, ``(SSIM + GMS) / 2``, stretched from [0.45, 1] to
[0, 1]. Rank correlation is measured on calibration scenes.
"""

import argparse
from pathlib import Path

import torch
from common import Scenes
from prepare_latents import stored_scene
from safetensors.torch import save_file
from scipy.stats import spearmanr
from similarity import quality
from torch import Tensor
from torch.nn import functional
from walks import Clip, spread_steps

from sphinx_framework_lite.config import DiffusionConfig, RegressionConfig
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.quality import QualityNetwork
from sphinx_framework_lite.regression import LiteRegression
from sphinx_framework_lite.statistics import natural_statistics, opacity_statistics

LOW = 0.45


def stretched(value: Tensor) -> Tensor:
    """Similarity to the scale of the score."""
    return ((value - LOW) / (1 - LOW)).clamp(0.01, 0.99)


def degraded(images: Tensor, generator: torch.Generator) -> list[Tensor]:
    """A blur ladder, noise and coarse speckle."""
    out = []
    for side in (64, 48, 32, 16):
        small = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        mode = "bicubic" if side % 48 else "bilinear"
        out.append(functional.interpolate(small, images.shape[-2:], mode=mode).clamp(0, 1))
    for level in (0.04, 0.1):
        noise = torch.randn(images.shape, generator=generator)
        out.append((images + level * noise).clamp(0, 1))
    patch = torch.randn(len(images), 3, 24, 24, generator=generator)
    speckle = functional.interpolate(patch, images.shape[-2:], mode="nearest")
    out.append((images + 0.08 * speckle).clamp(0, 1))
    return out


def examples(
    scenes: Scenes,
    wanted: list[int],
    regression: list[LiteRegression],
    model: LiteDiffusion,
    walks: int,
) -> dict[str, Tensor]:
    """Features, opacity features (NaN if none), targets, and the scene of every example."""
    features, opacities, targets, numbers, kinds = [], [], [], [], []
    generator = torch.Generator().manual_seed(5)
    grid = model.sampler(50)
    for count, index in enumerate(wanted):
        scene = stored_scene(scenes, index)
        truth = scene.target_images
        assert truth is not None

        def add(
            images: Tensor, reference: Tensor, kind: int, opacity: Tensor | None = None
        ) -> None:
            stats = natural_statistics(images)
            features.append(stats)
            none = torch.full((len(images), 5), float("nan"))
            opacities.append(none if opacity is None else opacity_statistics(opacity))
            targets.append(quality(images, reference))
            numbers.append(torch.full((len(images),), index))  # noqa: B023
            kinds.append(torch.full((len(images),), kind))

        for stage in regression:
            coarse = stage.predict(scene)
            add(coarse.images, truth, 0, coarse.opacity)
        add(truth, truth, 1)
        add(scene.images, scene.images, 1)
        two = truth[[1, 4]]
        for worse in degraded(two, generator):
            add(worse, two, 2)
        add(model.decode(model.encode(two)), two, 3)
        if count < walks:
            coarse = regression[0].predict(scene)
            clip = Clip(model, scene, coarse, seed=index)
            for first, steps in ((0, 10), (20, 6), (35, 5)):
                add(clip.walk(grid, spread_steps(first, steps, 50)), truth, 4)
    return {
        "natural": torch.cat(features),
        "opacity": torch.cat(opacities),
        "target": stretched(torch.cat(targets)),
        "scene": torch.cat(numbers),
        "kind": torch.cat(kinds),
    }


def fit(network: QualityNetwork, data: dict[str, Tensor], steps: int) -> None:
    """Least squares plus ranking within scenes, both heads."""
    natural, opacity = data["natural"], data["opacity"]
    joint = torch.cat([natural, opacity], dim=1)
    held = torch.isfinite(joint).all(dim=1)
    for head, features in ((network.image, natural), (network.render, joint[held])):
        deviation, mean = torch.std_mean(features, dim=0)
        head.mean.copy_(mean)
        head.deviation.copy_(deviation.clamp(min=1e-4))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=3e-2)
    generator = torch.Generator().manual_seed(1)
    rows_of = [(data["scene"] == n).nonzero()[:, 0] for n in data["scene"].unique()]
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps) + 1e-5
        # Whole scenes: images of the same place are what the score must put in order.
        pick = torch.randint(len(rows_of), (8,), generator=generator).tolist()
        rows = torch.cat([rows_of[i] for i in pick])
        loss = torch.zeros(())
        for head, chosen, values in (
            (network.image, rows, natural),
            (network.render, rows[held[rows]], joint),
        ):
            score = head(values[chosen])
            target = data["target"][chosen]
            loss = loss + functional.smooth_l1_loss(score, target, beta=0.1)
            same = data["scene"][chosen][:, None] == data["scene"][chosen]
            gap = target[:, None] - target
            ranked = functional.softplus(-20 * (score[:, None] - score) * gap.sign())
            loss = loss + 0.05 * (ranked * (same & (gap.abs() > 0.02))).sum() / same.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def report(network: QualityNetwork, data: dict[str, Tensor]) -> None:
    """Print rank correlations and means by kind of image."""
    natural, opacity, target = data["natural"], data["opacity"], data["target"]
    with torch.no_grad():
        image = network.image(natural)
        render = network.render(torch.cat([natural, opacity], dim=1))
    coarse = data["kind"] == 0
    print(f"Spearman, all images, image head: {spearmanr(image, target)[0]:.3f}")
    for name, score in (("image", image), ("opacity", render)):
        rank = spearmanr(score[coarse], target[coarse])[0]
        print(f"Spearman, coarse views, {name} head: {rank:.3f}")
    names = ("coarse", "photos", "degraded", "autoencoded", "diffused")
    for kind, name in enumerate(names):
        rows = data["kind"] == kind
        if rows.any():
            print(
                f"{name:12s} target {target[rows].mean():.3f}  image head {image[rows].mean():.3f}"
                + (f"  opacity head {render[rows].mean():.3f}" if kind == 0 else "")
            )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="packaged")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=250)
    parser.add_argument("--walks", type=int, default=60)
    parser.add_argument("--steps", type=int, default=2500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device("cpu")
    stages = [
        LiteRegression(RegressionConfig(weights=options.weights, stride=s), device) for s in (2, 1)
    ]
    model = LiteDiffusion(DiffusionConfig(weights=options.weights, precision="native"), device)
    # Scenes that the U-Net did not train on.
    train = Scenes(options.data / "train")
    wanted = list(range(len(train.maps["done"]) - options.scenes, len(train.maps["done"])))
    data = examples(train, wanted, stages, model, options.walks)
    print(f"{len(data['target'])} examples", flush=True)
    network = QualityNetwork()
    fit(network, data, options.steps)
    calibration = Scenes(options.data / "calibration")
    held = examples(calibration, list(range(40)), stages, model, options.walks // 4)
    report(network, held)
    options.run.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), options.run / "weights.safetensors")


if __name__ == "__main__":
    main()
