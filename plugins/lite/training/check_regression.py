r"""Measure the regression stage: depth as learned, as photometry refines it, and exact.

    python training/check_regression.py --stored D/calibration D/heldp --scenes 24 \
           --generated calibration/300-311 --captures RE10K_ROOM:4-10,8-18 --weights packaged RUN

One table per set of scenes. ``--stored`` are splits on disk (``render_scenes.py``,
``photo_scenes.py``), ``--generated`` built-in scenes, ``--captures`` pairs of frames of posed
captures; the latter two are drawn at ``--sides``. ``--unknown-range`` takes the depth range away.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import Scenes
from prepare_latents import stored_scene
from similarity import gradient_similarity, psnr, sharpness, ssim

from sphinx_framework.scenes.frame_pairs import captured
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import Scene
from sphinx_framework_lite.depth import DepthNetwork
from sphinx_framework_lite.predict import InputDepth, input_depth, source_closeness, source_renders
from sphinx_framework_lite.splat import fill_holes, fuse
from sphinx_framework_lite.weights import build

COLUMNS = f"{'':34s}   PSNR  visible  hole%    SSIM     GMS    lap"


def sets(
    options: argparse.Namespace,
) -> Iterator[tuple[str, list[tuple[Scene, InputDepth | None]]]]:
    """Every set's name and its scenes, with their exact depth where it is known."""
    for folder in options.stored:
        scenes = Scenes(folder)
        drawn: list[tuple[Scene, InputDepth | None]] = []
        for index in range(min(options.scenes, len(scenes.ready()))):
            exact = scenes.take("depth", np.array([index]))[0]
            found = InputDepth(depth=exact, confidence=torch.ones_like(exact))
            drawn.append((stored_scene(scenes, index), found))
        yield folder.name, drawn
    for side in options.sides:
        size = (side, side)
        if options.generated:
            split, _, numbers = options.generated.partition("/")
            first, last = (int(n) for n in numbers.split("-"))
            names = [f"procedural:{split}/{n}" for n in range(first, last + 1)]
            yield (
                f"{options.generated} at {side}",
                [(load_scene(n, size=size), None) for n in names],
            )
        found_scenes = [s for name in options.captures for s in captured(name, size)]
        if found_scenes:
            yield f"captures at {side}", [(s, None) for s in found_scenes]


def rendered(scene: Scene, found: InputDepth, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and opacity of the targets."""
    closeness = source_closeness(scene, scene.targets)
    fused = fuse(source_renders(scene, found, scene.targets, stride), closeness)
    return fill_holes(fused.images, fused.opacity).clamp(0, 1), fused.opacity


def measured(scene: Scene, images: torch.Tensor, opacity: torch.Tensor) -> torch.Tensor:
    """The columns of the table, means over targets."""
    truth = scene.target_images
    hole = (opacity < 0.5).float()
    values = [
        psnr(images, truth),
        psnr(images, truth, 1 - hole),
        100 * hole.mean(dim=(1, 2)),
        ssim(images, truth),
        gradient_similarity(images, truth),
        sharpness(images),
    ]
    return torch.stack(values, 1).mean(0)


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=Path, nargs="*", default=[])
    parser.add_argument("--scenes", type=int, default=24, help="of each stored split")
    parser.add_argument("--generated", help="SPLIT/FIRST-LAST")
    parser.add_argument("--captures", nargs="*", default=[], metavar="FOLDER:FIRST-LAST,...")
    parser.add_argument("--sides", type=int, nargs="*", default=[96])
    parser.add_argument("--weights", nargs="*", default=["packaged"])
    parser.add_argument("--unknown-range", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks = {w: build(DepthNetwork, "depth", w, torch.device("cpu")) for w in options.weights}
    for name, scenes in sets(options):
        rows: dict[str, list[torch.Tensor]] = {}
        for known, exact in scenes:
            scene = replace(known, near=None, far=None) if options.unknown_range else known
            for weights, network in networks.items():
                for photometric in (False, True):
                    found = input_depth(network, scene, photometric=photometric)
                    row = f"{weights[-20:]}{', photometric' * photometric}"
                    rows.setdefault(row, []).append(measured(scene, *rendered(scene, found, 1)))
            if exact is not None:
                rows.setdefault("exact depth", []).append(
                    measured(scene, *rendered(scene, exact, 1))
                )
            copies = scene.images[:1].expand_as(scene.target_images)
            seen = torch.ones_like(copies[:, 0])
            rows.setdefault("first input", []).append(measured(scene, copies, seen))
        print(f"\n{name}, {len(scenes)} scenes\n{COLUMNS}")
        for row, values in rows.items():
            mean = torch.stack(values).mean(0).tolist()
            print(
                f"{row:34s} {mean[0]:6.2f}  {mean[1]:6.2f}  {mean[2]:5.1f}  {mean[3]:.4f}  "
                f"{mean[4]:.4f}  {mean[5]:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
