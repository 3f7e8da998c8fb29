"""A scene as a ``transforms.json`` folder that keeps everything: photos, targets, masks, depths."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.scenes.capture import Capture, in_file_pixels, known_range
from sphinx_framework.scenes.depth_files import DEPTH_KEY, UNIT_KEY, DepthFile, read_depths
from sphinx_framework.scenes.files import HEIC_ENDINGS
from sphinx_framework.scenes.images import (
    PackedPhoto,
    Photo,
    read_header,
    read_image,
    write_png,
)
from sphinx_framework.scenes.mask_files import mask_of
from sphinx_framework.scenes.transforms import SPLIT_PREFIX, TRANSFORMS_FILE
from sphinx_framework.types import Cameras, Scene

_IDENTITY = torch.eye(4, dtype=torch.float64)[:3].tolist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One camera to write, with its photo where there is one: a file to copy, or pixels.

    distortion: of the lens; the photo is copied as it is. position: along the capture; counts where
        every picture has one.
    name: of the photo below ``images``, without which the camera has none.
    world_from_camera, intrinsics: OpenCV axes; pixels of ``size`` (height, width).
    """

    world_from_camera: Float[Tensor, "4 4"]
    intrinsics: Float[Tensor, "3 3"]
    size: tuple[int, int]
    name: str | None = None
    file: Photo | None = None
    image: Float[Tensor, "3 H W"] | None = None
    mask: Path | None = None
    depth: DepthFile | None = None
    position: float | None = None
    distortion: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFolder:
    """What a scene folder is to hold; inputs and targets are indices into ``pictures``."""

    pictures: Sequence[Picture]
    inputs: Sequence[int]
    targets: Sequence[int]
    near: float | None = None
    far: float | None = None


def from_capture(capture: Capture) -> SceneFolder:
    """Every frame of a capture, whether input, target or neither; photos are to be copied."""
    first = next((s.file for s in capture.shots if s.file is not None and s.file.is_file()), None)
    default = (1, 1) if first is None else read_header(first).size
    files = [shot.file for shot in capture.shots]
    names = _names([None if file is None or not file.is_file() else file.name for file in files])
    near, far = known_range(capture)
    pictures = []
    for shot, name in zip(capture.shots, names, strict=True):
        intrinsics, size = in_file_pixels(shot, default)
        pictures.append(
            Picture(
                world_from_camera=shot.world_from_camera,
                intrinsics=intrinsics,
                size=size,
                name=name,
                file=shot.file if name is not None else None,
                mask=shot.mask,
                depth=shot.depth,
                position=shot.order,
                distortion=shot.distortion,
            )
        )
    return SceneFolder(
        pictures=pictures,
        inputs=capture.inputs,
        targets=capture.targets,
        near=near,
        far=far,
    )


def from_photos(
    files: Sequence[Path], cameras: Cameras, near: float | None, far: float | None
) -> SceneFolder:
    """Photos whose cameras were estimated on their upright pixels; all are inputs."""
    turned = [
        read_header(file).orientation != 1 or file.suffix.lower() in HEIC_ENDINGS for file in files
    ]
    names = _names([f"{f.name}.png" if t else f.name for f, t in zip(files, turned, strict=True)])
    pictures = []
    for index, picture in enumerate(_pictures(cameras, None, 0)):
        stored = turned[index]
        image = read_image(files[index]) if stored else None
        photo = _with_photo(picture, names[index], None if stored else files[index], image)
        pictures.append(photo if stored else replace(photo, mask=mask_of(files[index])))
    everything = range(len(pictures))
    return SceneFolder(pictures=pictures, inputs=everything, targets=(), near=near, far=far)


def from_scene(scene: Scene) -> SceneFolder:
    """Inputs, targets and their ground truth of a scene that no folder holds."""
    inputs = _pictures(scene.in_world(scene.inputs), scene.images, 0)
    count = len(inputs)
    targets = _pictures(scene.in_world(scene.targets), scene.target_images, count)
    return SceneFolder(
        pictures=[*inputs, *targets],
        inputs=range(count),
        targets=range(count, count + len(targets)),
        near=scene.near,
        far=scene.far,
    )


def write_scene_folder(out: Path, folder: SceneFolder) -> None:
    """Write photos, masks, cameras and the split into an empty folder.

    Photos are copied byte for byte; poses are OpenGL camera-to-world in double precision, in the
    world that the reader gave them.
    """
    units = [picture.depth.unit for picture in folder.pictures if picture.depth is not None]
    unit = max(units, default=None)
    frames: list[dict[str, Any]] = []
    flip = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    for picture in folder.pictures:
        k = picture.intrinsics.double()
        frame: dict[str, Any] = {
            "fl_x": float(k[0, 0]),
            "fl_y": float(k[1, 1]),
            "cx": float(k[0, 2]),
            "cy": float(k[1, 2]),
            "w": picture.size[1],
            "h": picture.size[0],
            **{key: value for key, value in picture.distortion.items() if value},
            "transform_matrix": (picture.world_from_camera.double() * flip).tolist(),
        }
        if picture.name is not None:
            frame = {"file_path": f"images/{picture.name}", **frame}
            _write_photo(out / "images" / picture.name, picture)
        if picture.mask is not None and picture.name is not None:
            frame["mask_path"] = _copied(out, "masks", picture.name, picture.mask)
        if picture.depth is not None and picture.name is not None:
            frame[DEPTH_KEY] = _copied_depth(out, picture.name, picture.depth, unit)
        if picture.position is not None:
            frame["position"] = picture.position
        frames.append(frame)
    depths = {"near": folder.near, "far": folder.far, UNIT_KEY: unit}
    content = {
        "camera_model": "OPENCV",
        "applied_transform": _IDENTITY,
        **{key: value for key, value in depths.items() if value is not None},
        "frames": frames,
    }
    split = {"train_ids": list(folder.inputs), "test_ids": list(folder.targets)}
    name = f"{SPLIT_PREFIX}{len(folder.inputs)}.json"
    (out / name).write_text(json.dumps(split) + "\n", encoding="utf-8")
    (out / TRANSFORMS_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _copied(out: Path, folder: str, name: str, file: Path) -> str:
    """Copy what belongs to a photo under the photo's name; where it lies now."""
    place = PurePosixPath(folder, name).with_suffix(file.suffix)
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, out / place)
    return str(place)


def _copied_depth(out: Path, name: str, depth: DepthFile, unit: float | None) -> str:
    """Copy depths; those of another unit than the folder's are written as numbers of that."""
    if depth.unit == unit or unit is None:
        return _copied(out, "depths", name, depth.path)
    place = PurePosixPath("depths", name).with_suffix(".npy")
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    np.save(out / place, read_depths(depth) / unit)
    return str(place)


def _write_photo(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture.file is not None:
        if isinstance(picture.file, PackedPhoto):
            path.write_bytes(picture.file.data)
        else:
            shutil.copyfile(picture.file, path)
    elif picture.image is not None:
        write_png(path, picture.image)


def _names(names: Sequence[str | None]) -> list[str | None]:
    """Names below ``images``, as they were; where two are the same, all get a number in front.

    Endings do not tell them apart: masks and depths have their own.
    """
    stems = [PurePosixPath(name).stem.lower() for name in names if name is not None]
    if len(set(stems)) == len(stems):
        return list(names)
    return [None if name is None else f"{i:05d}-{name}" for i, name in enumerate(names)]


def _pictures(
    cameras: Cameras, images: Float[Tensor, "V 3 H W"] | None, first: int
) -> list[Picture]:
    return [
        Picture(
            world_from_camera=cameras.world_from_camera[index].cpu(),
            intrinsics=cameras.intrinsics[index].cpu(),
            size=cameras.image_size,
            name=None if images is None else f"{first + index:03d}.png",
            image=None if images is None else images[index],
        )
        for index in range(len(cameras))
    ]


def _with_photo(
    picture: Picture, name: str | None, file: Path | None, image: Float[Tensor, "3 H W"] | None
) -> Picture:
    return Picture(
        world_from_camera=picture.world_from_camera,
        intrinsics=picture.intrinsics,
        size=picture.size,
        name=name,
        file=file,
        image=image,
    )
