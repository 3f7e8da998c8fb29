"""Make what the score and the guard learn from: what many systems make of the same targets.

    python training/score_scenes.py --out D/score --photos P --count 90

Scenes in turns: procedural ones (split ``train``, seeds that no other trainer saw), the same
dressed in photographs, and layered photographs (DATA.md). Every system's frames carry what the
autoencoder lost of the render, as the product serves them. One file a scene, so that a killed run
goes on. ``--split report`` takes the plain scenes of that split only, and ``--captures
FOLDER:4-10,8-18`` pairs of frames of posed captures: for measures only, never trained on.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from photo_scenes import layers, path, photo_pool, rendered
from photo_textures import PhotoTextures
from render_scenes import FRAMES, SIDE
from torch import Tensor
from walks import STEPS, Clip, spread_steps

from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import Cameras, CoarseViews, Scene
from sphinx_framework_lite.config import DiffusionConfig, RegressionConfig
from sphinx_framework_lite.model import LiteDiffusion
from sphinx_framework_lite.regression import LiteRegression
from sphinx_framework_lite.scenes import world
from sphinx_framework_lite.scenes.generate import make_scene
from sphinx_framework_lite.scenes.textures import texture

# Start step and solver steps; start 0 is plain diffusion from noise.
EULER = ((0, 1), (0, 2), (0, 3), (0, 5), (0, 10), (10, 1), (20, 1), (20, 5))
EULER += ((30, 1), (30, 2), (40, 1), (40, 5))
# Long walks, in every eighth scene.
LONG = ((0, 25), (0, 50))
SECOND_ORDER = ((0, 5), (20, 5))
MOST_TARGETS = 6
SECOND_DRAW = ((0, 1), (20, 1), (30, 1), (40, 1))


def layered(pool: list[Tensor], seed: int) -> Scene:
    """A layered scene of photographs, its first and last frame the inputs."""
    random = np.random.default_rng([seed, 20])
    planes = layers(pool, random)
    poses, k = path(random, (0.05, 1.3))
    images, depth = rendered(planes, poses, k, SIDE)
    images = (images + random.normal(0, random.uniform(0, 0.012), images.shape)).clip(0, 1)
    frames = torch.from_numpy(images).float().permute(0, 3, 1, 2)
    cameras = Cameras(
        world_from_camera=torch.from_numpy(poses),
        intrinsics=torch.from_numpy(k)[None].repeat(FRAMES, 1, 1),
        image_size=(SIDE, SIDE),
    )
    low, high = np.quantile(depth, [0.002, 0.998])
    ends, between = [0, FRAMES - 1], list(range(1, FRAMES - 1))
    return Scene(
        images=frames[ends], inputs=cameras[ends], targets=cameras[between],
        target_images=frames[between], near=float(0.9 * low), far=float(1.1 * min(high, 40)),
        name=f"layered {seed}",
    )  # fmt: skip


def captured(argument: str, side: int) -> Iterator[Scene]:
    """Pairs of frames of a posed capture as inputs, at most six of those between as targets."""
    folder, _, pairs = argument.partition(":")
    frames = json.loads((Path(folder) / "transforms.json").read_text())["frames"]
    every = ",".join(str(i) for i in range(len(frames)))
    whole = fit_scene(load_scene(folder, targets=f"indices:{every}"), (side, side))
    assert whole.target_images is not None
    for pair in pairs.split(","):
        first, last = (int(number) for number in pair.split("-"))
        places = torch.linspace(first + 1, last - 1, min(MOST_TARGETS, last - first - 1))
        between = sorted({round(float(place)) for place in places})
        yield Scene(
            images=whole.target_images[[first, last]],
            inputs=whole.targets[[first, last]],
            targets=whole.targets[between],
            target_images=whole.target_images[between],
            name=f"{whole.name} {pair}",
            order=tuple(float(i) for i in (first, last, *between)),
        )


def drawn(options: argparse.Namespace) -> Iterator[tuple[int, Scene]]:
    """The scenes that are not stored yet."""
    if options.captures:
        found = (s for argument in options.captures for s in captured(argument, options.side))
        yield from enumerate(found)
        return
    photos = PhotoTextures(options.photos) if options.photos else None
    pool = photo_pool(options.photos) if options.photos else []
    for index in range(options.first, options.first + options.count):
        if (options.out / f"{index:04d}.npz").exists():
            continue
        kind = index % 3 if photos is not None else 0
        if kind == 2:
            yield index, layered(pool, 500000 + index)
            continue
        world.texture = texture  # type: ignore[assignment]
        if photos is not None and kind == 1:
            photos.dress(None, index)
        size = (options.side, options.side)
        seed = index if options.split != "train" else 60000 + index
        yield index, make_scene(seed, split=options.split, size=size, targets=6)


def systems(
    model: LiteDiffusion, second: LiteDiffusion, scene: Scene, coarse: CoarseViews, seed: int,
    long: bool,
) -> dict[str, Tensor]:  # fmt: skip
    """Images of every system, by name."""
    clips = [Clip(model, scene, coarse, seed=s) for s in (seed, seed + 100000)]
    clip = clips[0]
    grid, few = model.sampler(STEPS), second.sampler(STEPS)
    opacity = torch.ones_like(coarse.images[:, :1])
    if coarse.opacity is not None:
        opacity = coarse.opacity[:, None]
    lost = opacity * (coarse.images - model.decode(clip.clean[clip.targets]))

    def frames(drawn: Clip, schedule: object, first: int, count: int) -> Tensor:
        steps = spread_steps(first, count, STEPS)
        images = drawn.walk(schedule, steps, from_noise=first == 0)  # type: ignore[arg-type]
        return (images + lost).clamp(0, 1)

    found = {"regression": coarse.images}
    for first, count in EULER + LONG * long:
        found[f"start {first} steps {count}"] = frames(clip, grid, first, count)
    for first, count in SECOND_ORDER:
        found[f"start {first} steps {count} second order"] = frames(clip, few, first, count)
    for first, count in SECOND_DRAW:
        found[f"start {first} steps {count} second draw"] = frames(clips[1], grid, first, count)
    return found


def stored(scene: Scene, coarse: CoarseViews, found: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Everything of a scene as arrays, images as 8-bit."""
    assert scene.target_images is not None
    assert coarse.opacity is not None
    assert coarse.depth is not None

    def bytes_of(images: Tensor) -> np.ndarray:
        return (images.clamp(0, 1) * 255).round().byte().numpy()

    poses = torch.cat([scene.inputs.world_from_camera, scene.targets.world_from_camera])
    return {
        "inputs": bytes_of(scene.images),
        "truth": bytes_of(scene.target_images),
        "poses": poses.numpy(),
        "intrinsics": torch.cat([scene.inputs.intrinsics, scene.targets.intrinsics]).numpy(),
        "opacity": coarse.opacity.half().numpy(),
        "depth": coarse.depth.numpy(),
        "names": np.array(list(found)),
        "systems": np.stack([bytes_of(images) for images in found.values()]),
    }


@torch.no_grad()
def write(
    target: Path, index: int, scene: Scene, stages: list[LiteRegression],
    models: tuple[LiteDiffusion, LiteDiffusion], smoother: bool, long: bool,
) -> None:  # fmt: skip
    """Run every system on one scene and store it, complete or not at all."""
    coarse = stages[smoother].predict(scene)
    found = systems(*models, scene, coarse, seed=index, long=long)
    half = target.with_suffix(".tmp.npz")
    np.savez(half, **stored(scene, coarse, found))
    half.replace(target)
    print(target.name, scene.name, flush=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=Path, help="folder of photographs (default: none)")
    parser.add_argument("--split", default="train")
    parser.add_argument("--captures", nargs="*", metavar="FOLDER:FIRST-LAST,...")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=90)
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    stages = [LiteRegression(RegressionConfig.model_construct(stride=s), device) for s in (1, 2)]
    models = (
        LiteDiffusion(DiffusionConfig.model_construct(precision="bfloat16"), device),
        LiteDiffusion(
            DiffusionConfig.model_construct(precision="bfloat16", solver="dpmpp_2m"), device
        ),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    for index, scene in drawn(options):
        measured = bool(options.captures) or options.split != "train"
        smoother, long = index % 5 == 4 and not measured, index % (3 if measured else 8) == 1
        write(options.out / f"{index:04d}.npz", index, scene, stages, models, smoother, long)


if __name__ == "__main__":
    main()
