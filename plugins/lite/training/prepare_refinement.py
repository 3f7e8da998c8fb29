"""Render what the pipeline would refine, once: the U-Net's second training reads the result.

    python training/prepare_refinement.py --data training/data --split photos --scenes 1200

Every stored scene becomes one clip as the product builds it: the shipped depth network at full
resolution, the shipped encoder, the condition, and what decoding loses of the render. Inputs are
the ends of the path (mostly), another pair with targets outside of it too, or three frames; half
of the scenes get a loosened depth range, because nobody knows the range of a real capture well,
and some a wrong one.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from common import Scenes
from half_precision import half_precision
from memory_maps import memory_maps

from sphinx_framework.types import Cameras, Scene
from sphinx_framework_lite.autoencoder import LATENT_CHANNELS, LATENT_FACTOR
from sphinx_framework_lite.config import DiffusionConfig, RegressionConfig
from sphinx_framework_lite.denoiser import CONDITION_CHANNELS
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.regression import LiteRegression

UNUSED, INPUT, TARGET = 0, 1, 2


def drawn_inputs(frames: int, random: np.random.Generator) -> list[int]:
    """Which frames of a path are photos; all the others are targets."""
    kind = random.random()
    if kind < 0.65:
        return [0, frames - 1]
    if kind < 0.82:
        gap = int(random.integers(3, frames - 1))
        first = int(random.integers(0, frames - gap))
        return [first, first + gap]
    return [0, int(random.integers(2, frames - 2)), frames - 1]


def drawn_range(random: np.random.Generator) -> tuple[float, float]:
    """Factors on near and far: true, loosened, or wrong (what lies outside gets wrong depth)."""
    kind = random.random()
    if kind < 0.4:
        return 1.0, 1.0
    if kind < 0.85:
        return random.uniform(0.6, 1), 1 + 2 * random.random() ** 2
    return random.uniform(0.9, 1.5), random.uniform(0.5, 0.9)


def stored_scene(
    scenes: Scenes, index: int, inputs: list[int], loosened: tuple[float, float] = (1, 1)
) -> Scene:
    """A rendered scene as the models see it; the depth range is scaled by ``loosened``."""
    row = np.array([index])
    images = scenes.take("images", row)[0]
    frames = len(images)
    cameras = Cameras(
        world_from_camera=scenes.take("poses", row)[0],
        intrinsics=scenes.take("intrinsics", row).repeat(frames, 1, 1),
        image_size=(images.shape[-2], images.shape[-1]),
    )
    near, far = (float(x) for x in scenes.maps["range"][index])
    targets = [frame for frame in range(frames) if frame not in inputs]
    return Scene(
        images=images[inputs],
        inputs=cameras[inputs],
        targets=cameras[targets],
        near=near * loosened[0],
        far=far * loosened[1],
        target_images=images[targets],
    )


def arrays(folder: Path, count: int, frames: int, size: tuple[int, int]) -> dict[str, np.memmap]:
    """Open (or create) the memory maps of one split; frames come in the clip's order."""
    cells = (size[0] // LATENT_FACTOR, size[1] // LATENT_FACTOR)
    shapes = {
        "kind": ((frames,), np.uint8),
        "clean": ((frames, LATENT_CHANNELS, *cells), np.float16),
        "maps": ((frames, CONDITION_CHANNELS, *cells), np.float16),
        "opacity": ((frames, *size), np.uint8),
        "lost": ((frames, 3, *size), np.float16),
        "truth": ((frames, 3, *size), np.uint8),
        "done": ((), np.uint8),
    }
    each = {name: ((count, *shape), kind) for name, (shape, kind) in shapes.items()}
    return memory_maps(folder, each)


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="photos")
    parser.add_argument("--scenes", type=int, default=1200)
    parser.add_argument("--until", type=int, help="stop before this scene (default: all)")
    parser.add_argument("--held-out", action="store_true", help="two inputs, the true range")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    regression = LiteRegression(RegressionConfig.model_construct(), device)
    diffusion = LiteDiffusion(DiffusionConfig.model_construct(), device)
    scenes = Scenes(options.data / options.split)
    frames, height, width = scenes.maps["images"].shape[1:4]
    out = arrays(
        options.data / "refinement" / options.split, options.scenes, frames, (height, width)
    )
    for index in range(options.scenes if options.until is None else options.until):
        if out["done"][index] or not scenes.maps["done"][index]:
            continue
        random = np.random.default_rng([index, 31])
        inputs, loosened = [0, frames - 1], (1.0, 1.0)
        if not options.held_out:
            inputs = drawn_inputs(frames, random)
            loosened = drawn_range(random)
        scene = stored_scene(scenes, index, inputs, loosened)
        with half_precision():
            coarse = regression.predict(scene)
        layout = diffusion.layouts(scene)[0]
        rows = {
            "input": (scene.images, scene.images),
            "target": (coarse.images, scene.target_images),
        }
        seen = torch.stack([rows[slot.kind][0][slot.index] for slot in layout.slots])
        truth = torch.stack([rows[slot.kind][1][slot.index] for slot in layout.slots])
        targets = list(layout.targets)
        with half_precision():
            base, clean = diffusion.encode(seen), diffusion.encode(truth)
            condition = diffusion.condition(scene, coarse, layout, base, diffusion.sampler(50))
            decoded = diffusion.decode(base)
        opacity = torch.ones(frames, height, width)
        opacity[targets] = coarse.opacity[[layout.targets[slot] for slot in targets]]
        out["kind"][index] = [TARGET if f in targets else INPUT for f in range(frames)]
        out["clean"][index] = clean.numpy()
        out["maps"][index] = condition.maps.numpy()
        out["opacity"][index] = (opacity * 255).round().numpy()
        out["lost"][index] = (seen - decoded).numpy()
        out["truth"][index] = (truth * 255).round().numpy()
        out["done"][index] = 1
        if index % 100 == 0:
            print(options.split, index, flush=True)


if __name__ == "__main__":
    main()
