"""Run depth, splats and encoder over the training scenes once; the U-Net trains on the result.

python training/prepare_latents.py --data D --weights W --scenes 1500
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from common import Scenes
from half_precision import half_precision
from memory_maps import memory_maps

from sphinx_framework.types import Cameras, Scene
from sphinx_framework_lite.autoencoder import Autoencoder
from sphinx_framework_lite.denoiser import plucker_rays
from sphinx_framework_lite.depth import DepthNetwork
from sphinx_framework_lite.model import middle
from sphinx_framework_lite.predict import input_depth, source_closeness, source_renders
from sphinx_framework_lite.splat import fill_holes, fuse
from sphinx_framework_lite.weights import build

FRAMES, CELLS, CHANNELS, TARGETS = 8, 24, 12, 6
KEPT_IMAGES = 400


def stored_scene(scenes: Scenes, index: int) -> Scene:
    """A rendered scene as the models see it."""
    row = np.array([index])
    images = scenes.take("images", row)[0]
    size = (images.shape[-2], images.shape[-1])
    cameras = Cameras(
        world_from_camera=scenes.take("poses", row)[0],
        intrinsics=scenes.take("intrinsics", row).repeat(FRAMES, 1, 1),
        image_size=size,
    )
    near, far = (float(x) for x in scenes.maps["range"][index])
    ends, between = [0, FRAMES - 1], list(range(1, FRAMES - 1))
    return Scene(
        images=images[ends],
        inputs=cameras[ends],
        targets=cameras[between],
        near=near,
        far=far,
        target_images=images[between],
    )


def arrays(folder: Path, count: int) -> dict[str, np.memmap]:
    """Open (or create) the memory maps of one split."""
    maps = (CELLS, CELLS)
    shapes = {
        "clean": ((FRAMES, CHANNELS, *maps), np.float16),
        "base": ((TARGETS, CHANNELS, *maps), np.float16),
        "opacity": ((TARGETS, *maps), np.float16),
        "sources": ((2, TARGETS, CHANNELS, *maps), np.float16),
        "covered": ((2, TARGETS, *maps), np.float16),
        "rays": ((FRAMES, 6, *maps), np.float16),
        "done": ((), np.uint8),
    }
    if folder.name == "train":
        shapes["coarse"] = ((TARGETS, 96, 96, 3), np.uint8)
        shapes["coarse_opacity"] = ((TARGETS, 96, 96), np.float16)

    def rows(name: str) -> int:
        return min(count, KEPT_IMAGES) if name.startswith("coarse") else count

    each = {name: ((rows(name), *shape), kind) for name, (shape, kind) in shapes.items()}
    return memory_maps(folder, each)


@torch.no_grad()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="packaged")
    parser.add_argument("--split", default="train")
    parser.add_argument("--scenes", type=int, default=1500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    depth = build(DepthNetwork, "depth", options.weights, device)
    autoencoder = build(Autoencoder, "autoencoder", options.weights, device)
    scenes = Scenes(options.data / options.split)
    out = arrays(options.data / "latents" / options.split, options.scenes)
    for index in range(options.scenes):
        if out["done"][index]:
            continue
        scene = stored_scene(scenes, index)
        # A fifth of the scenes has the sharper full-resolution regression as its base.
        stride = 1 if index % 5 == 4 else 2
        with half_precision():
            found = input_depth(depth, scene)
        sources = source_renders(scene, found, scene.targets)
        closeness = source_closeness(scene, scene.targets)
        fused = fuse(
            sources if stride == 1 else source_renders(scene, found, scene.targets, stride),
            closeness,
        )
        coarse = fill_holes(fused.images, fused.opacity).clamp(0, 1)
        filled = [fill_holes(s.images, s.opacity).clamp(0, 1) for s in sources]
        everything = torch.cat([scene.images, scene.target_images, coarse, *filled])
        with half_precision():
            latents = autoencoder.encode(everything).float()
        ends, targets = latents[:2], latents[2 : 2 + TARGETS]
        cameras = Cameras(
            world_from_camera=torch.from_numpy(np.array(scenes.maps["poses"][index])).float(),
            intrinsics=scene.inputs.intrinsics[:1].repeat(FRAMES, 1, 1),
            image_size=scene.inputs.image_size,
        )
        rays = plucker_rays(
            cameras, scene.inputs.world_from_camera[0], middle(scene.near or 1, scene.far or 1)
        )
        out["clean"][index] = torch.cat([ends[:1], targets, ends[1:]]).numpy()
        out["base"][index] = latents[8:14].numpy()
        out["sources"][index] = latents[14:].unflatten(0, (2, TARGETS)).numpy()
        pool = torch.nn.functional.adaptive_avg_pool2d
        out["opacity"][index] = pool(fused.opacity, (CELLS, CELLS)).numpy()
        out["covered"][index] = np.stack([pool(s.opacity, (CELLS, CELLS)).numpy() for s in sources])
        out["rays"][index] = rays.numpy()
        if "coarse" in out and index < len(out["coarse"]):
            out["coarse"][index] = np.round(coarse.permute(0, 2, 3, 1).numpy() * 255)
            out["coarse_opacity"][index] = fused.opacity.numpy()
        out["done"][index] = 1
        if index % 50 == 0:
            print(index, flush=True)


if __name__ == "__main__":
    main()
