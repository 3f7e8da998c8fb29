"""An estimator that knows the truth, a sample scene, and mistakes of estimators and readers."""

import functools
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from planted_mistakes import crashes

from sphinx_framework.testing.fakes import FakeConfig
from sphinx_framework.testing.scenes import room_scene, yawed
from sphinx_framework.types import Cameras, Scene

ACCEPTANCE = Path(__file__).parents[1] / "acceptance_plugin"
Change = Callable[..., Any]


@dataclass(frozen=True)
class Estimate:
    """What an estimator answers."""

    cameras: Cameras
    near: float | None = 0.5
    far: float | None = 9.0
    warnings: tuple[str, ...] = ()


@functools.cache
def room() -> Scene:
    """The room of the contract suite."""
    return room_scene(4, (160, 208))


@functools.cache
def wide_room() -> Scene:
    """The same room for the sample scene."""
    return room_scene(4, (150, 200))


class KnowingPoses:
    """Answers with the true cameras of the suite's room, in the frame of the first."""

    def __init__(self, config: FakeConfig, device: torch.device) -> None:
        """Nothing to load."""

    def estimate_poses(self, images, *, hints=None):
        scene = room()
        ends, rest = scene.inputs.world_from_camera, scene.targets.world_from_camera
        poses = torch.cat([ends[:1], rest, ends[1:]])[: len(images)]
        first = scene.inputs.camera_from_world[:1]
        cameras = Cameras(
            world_from_camera=first @ poses,
            intrinsics=scene.inputs.intrinsics[:1].expand(len(images), 3, 3),
            image_size=tuple(images.shape[-2:]),
        )
        return Estimate(cameras)


def write_sample(folder: Path) -> Path:
    """Five views on an arc around something in front of them, in the acceptance plugin's format."""
    folder.mkdir(parents=True, exist_ok=True)
    views = []
    generator = torch.Generator().manual_seed(5)
    for number in range(5):
        pose = torch.eye(4)
        pose[:3, :3] = yawed(torch.tensor([20.0 * (2 - number)]))[0]
        pose[:3, 3] = -4 * pose[:3, 2]
        pixels = torch.randint(0, 255, (64, 64, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
        views.append(
            {
                "file": f"{number}.png",
                "world_from_camera": pose.tolist(),
                "focal": 70.0,
                "use": "input" if number in (0, 2, 4) else "target",
            }
        )
    (folder / "views.json").write_text(json.dumps({"views": views}))
    return folder


def write_room(folder: Path) -> Path:
    """The same of the textured room, whose photos can be held against their cameras."""
    folder.mkdir(parents=True)
    made = wide_room()
    poses = torch.cat([made.inputs.world_from_camera, made.targets.world_from_camera])
    views = []
    for number, (image, pose) in enumerate(
        zip(torch.cat([made.images, made.target_images]), poses, strict=True)
    ):
        # Cut so that the principal point, at 106 and 72, is in the middle.
        pixels = (image[:, :144, 12:] * 255).round().byte().permute(1, 2, 0)
        Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
        views.append(
            {
                "file": f"{number}.png",
                "world_from_camera": pose.tolist(),
                "focal": 180.0,
                "use": "input" if number < len(made.images) else "target",
            }
        )
    (folder / "views.json").write_text(json.dumps({"views": views}))
    return folder


def sample() -> Path:
    """A sample scene of its own for every suite: broken readers write into it."""
    return write_room(Path(tempfile.mkdtemp(dir=_samples().name)) / "sample")


@functools.cache
def _samples() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with this process."""
    return tempfile.TemporaryDirectory(prefix="sphinx-sample-")


def acceptance_reader(config: FakeConfig, device: torch.device) -> Any:
    """The acceptance plugin's reader."""
    source = str(ACCEPTANCE / "src")
    if source not in sys.path:
        sys.path.append(source)
    from acceptance_plugin.reader import ViewsReader

    return ViewsReader(None, device)


# Pose estimators


def estimates(change: Callable[[Any], Any]) -> Change:
    def changed(fake, estimate, state, images, **named):
        return change(estimate(images, **named))

    return changed


def cameras(change: Callable[[Cameras], dict[str, Any]]) -> Change:
    return estimates(lambda e: replace(e, cameras=replace(e.cameras, **change(e.cameras))))


def opengl(found: Cameras) -> dict[str, Any]:
    return {
        "world_from_camera": found.world_from_camera @ torch.diag(torch.tensor([1, -1, -1, 1.0]))
    }


def unturned(found: Cameras) -> dict[str, Any]:
    poses = found.world_from_camera.clone()
    poses[:, :3, :3] = torch.eye(3)
    return {"world_from_camera": poses}


@crashes("four photos expected")
def poses_of_four(fake, estimate, state, images, **named):
    found = estimate(images, **named)
    if len(images) != 4:
        raise IndexError("four photos expected")
    return found


@crashes("NoneType.*'names'")
def needs_hints(fake, estimate, state, images, hints=None):
    assert len(hints.names) == len(images)
    return estimate(images, hints=hints)


def remembers_photos(fake, estimate, state, images, **named):
    found = estimate(images, **named)
    state["runs"] = state.get("runs", 0) + 1
    poses = found.cameras.world_from_camera.clone()
    poses[-1, 0, 3] += 0.01 * state["runs"]
    return replace(found, cameras=replace(found.cameras, world_from_camera=poses))


def photos_written(fake, estimate, state, images, **named):
    found = estimate(images, **named)
    images.clamp_(0.1, 0.9)
    return found


def reseeds(fake, method, state, *given, **named):
    torch.manual_seed(0)
    return method(*given, **named)


@crashes("SystemExit")
def exits(fake, method, state, *given, **named):
    raise SystemExit(0)


# Scene readers


def scenes(change: Callable[[Scene], Any]) -> Change:
    def changed(fake, read, state, path, **options):
        return change(read(path, **options))

    return changed


def inverted(scene: Scene) -> Scene:
    def other(found: Cameras) -> Cameras:
        return replace(found, world_from_camera=found.camera_from_world)

    return replace(scene, inputs=other(scene.inputs), targets=other(scene.targets))


def claims_everything(fake, can_read, state, path):
    return True


def asks_the_file_system(fake, can_read, state, path):
    return any(file.suffix == ".json" for file in path.iterdir())


def reads_without_asking(fake, read, state, path, **options):
    json.loads((path / "views.json").read_text())
    return read(path, **options)


def reads_anything(fake, read, state, path, **options):
    return read(path if (path / "views.json").is_file() else sample(), **options)


def leaves_a_cache(fake, read, state, path, **options):
    scene = read(path, **options)
    (path / "cache.bin").write_bytes(b"x")
    return scene


def remembers_scenes(fake, read, state, path, **options):
    scene = read(path, **options)
    state["runs"] = state.get("runs", 0) + 1
    return replace(scene, images=(scene.images + 0.1 * state["runs"]).clamp(0, 1))


def knows_no_options(fake, read, state, path):
    return read(path)


def trusts_its_files(fake, read, state, path, **options):
    if (path / "views.json").is_file():
        json.loads((path / "views.json").read_text())["views"][0]["file"]
    return read(path, **options)


def in_another_place(fake, read, state, path, **options):
    scene = read(path, **options)
    poses = scene.inputs.world_from_camera.clone()
    poses[0, 0, 3] = float("nan")
    return replace(scene, inputs=replace(scene.inputs, world_from_camera=poses))
