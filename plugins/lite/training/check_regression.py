"""Measure the regression stage on calibration scenes: learned and exact depth, both strides.

python training/check_regression.py --data D --weights W --scenes 24
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from common import Scenes
from prepare_latents import stored_scene
from similarity import gradient_similarity, psnr, sharpness, ssim

from sphinx_framework_lite.depth import DepthNetwork
from sphinx_framework_lite.predict import InputDepth, input_depth, source_closeness, source_renders
from sphinx_framework_lite.splat import fill_holes, fuse
from sphinx_framework_lite.weights import build


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="packaged")
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--sheet", type=Path, help="PNG of a few scenes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = build(DepthNetwork, "depth", options.weights, torch.device("cpu"))
    scenes = Scenes(options.data / "calibration")
    rows: dict[str, list[torch.Tensor]] = {}
    sheet = []
    for index in range(options.scenes):
        scene = stored_scene(scenes, index)
        truth = scene.target_images
        exact = scenes.take("depth", np.array([index]))[0]
        learned = input_depth(network, scene)
        oracle = InputDepth(depth=exact, confidence=torch.ones_like(exact))
        closeness = source_closeness(scene, scene.targets)
        strip = [truth]
        for name, found, stride in (
            ("exact depth, stride 1", oracle, 1),
            ("learned, stride 1", learned, 1),
            ("learned, stride 2", learned, 2),
        ):
            fused = fuse(source_renders(scene, found, scene.targets, stride), closeness)
            images = fill_holes(fused.images, fused.opacity).clamp(0, 1)
            hole = (fused.opacity < 0.5).float()
            values = [
                psnr(images, truth),
                psnr(images, truth, 1 - hole),
                100 * hole.mean(dim=(1, 2)),
                ssim(images, truth),
                gradient_similarity(images, truth),
                sharpness(images),
            ]
            rows.setdefault(name, []).append(torch.stack(values, 1).mean(0))
            strip += [images, fused.opacity[:, None].expand(-1, 3, -1, -1)]
        copies = scene.images[[0, 0, 0, 1, 1, 1]]
        values = [psnr(copies, truth)] * 2 + [torch.zeros(6)]
        values += [ssim(copies, truth), gradient_similarity(copies, truth), sharpness(copies)]
        rows.setdefault("nearest input", []).append(torch.stack(values, 1).mean(0))
        sheet.append(torch.cat([torch.cat(list(s[[1, 3]]), 2) for s in strip], 2))
    print(f"{'':24s}   PSNR  visible  hole%   SSIM    GMS    lap")
    for name, values in rows.items():
        mean = torch.stack(values).mean(0).tolist()
        print(
            f"{name:24s} {mean[0]:6.2f}  {mean[1]:6.2f}  {mean[2]:5.1f}  {mean[3]:.3f}  "
            f"{mean[4]:.3f}  {mean[5]:.2f}"
        )
    if options.sheet:
        from PIL import Image

        pixels = torch.cat(sheet[:10], 1).permute(1, 2, 0).numpy()
        Image.fromarray((pixels * 255).astype(np.uint8)).save(options.sheet)


if __name__ == "__main__":
    main()
