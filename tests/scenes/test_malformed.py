"""Hundreds of malformed scenes: each is refused with the file's name, or is a scene after all."""

import copy
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photo_scenes import SIZE, write_photo_scene

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene

HEIGHT, WIDTH = SIZE
BAD: tuple[Any, ...] = (
    None,
    "x",
    "",
    True,
    -1,
    0,
    1e308,
    10**400,
    float("nan"),
    float("-inf"),
    [],
    {},
    [[[]]],
    "../../etc/passwd",
    "a\0b",
    "\ud800",
)


def pose(index: int) -> list[list[float]]:
    matrix = np.diag([1.0, -1, -1, 1])
    matrix[0, 3] = 0.1 * index
    return matrix.tolist()


def scene_of(folder: Path, kind: str) -> Path:
    """A small scene in one of the formats; returns the file to spoil."""
    write_photo_scene(folder, count=3)
    file = folder / "transforms.json"
    content = json.loads(file.read_text())
    content.update(
        near=0.1, far=50.0, camera_model="OPENCV", k1=0.01, applied_transform=pose(2)[:3]
    )
    if kind == "nerfstudio":
        file.write_text(json.dumps(content))
        return file
    if kind == "split":
        return folder / "train_test_split_2.json"
    if kind == "blender":
        file.unlink()
        (folder / "train_test_split_2.json").unlink()
        frames = content["frames"]
        for name, part in (("train", frames[:2]), ("test", frames[2:])):
            written = {"camera_angle_x": 0.9, "frames": part}
            (folder / f"transforms_{name}.json").write_text(json.dumps(written))
        return folder / "transforms_train.json"
    if kind == "photos":
        file.unlink()
        k = {"fx": 40, "fy": 40, "cx": 20, "cy": 16}
        inputs = [
            {
                "file": f"images/{i}.png",
                "pose": pose(i),
                "intrinsics": k,
                "position": i,
                "width": 40,
            }
            | {"height": 32}
            for i in (0, 2)
        ]
        given = {"convention": "opengl_c2w", "inputs": inputs, "targets": [{"pose": pose(1)}]}
        (folder / "cameras.json").write_text(json.dumps({**given, "near": 1, "far": 9}))
        return folder / "cameras.json"
    if kind == "camera_path":
        matrix = [number for row in pose(1) for number in row]
        entry = {"camera_to_world": matrix, "fov": 50.0, "aspect": 1.25}
        given = {"camera_type": "perspective", "render_width": 40, "render_height": 32}
        path = folder / "path.json"
        path.write_text(json.dumps({**given, "camera_path": [entry]}))
        return path
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    file.unlink()
    if kind == "colmap_text":
        (model / "cameras.txt").write_text("1 OPENCV 40 32 40 40 20 16 0.01 0 0 0\n")
        rows = [f"{i} 1 0 0 0 {-0.1 * i} 0 0 1 {i}.png\n\n" for i in range(3)]
        (model / "images.txt").write_text("".join(rows))
        return model / "images.txt"
    (model / "cameras.bin").write_bytes(
        struct.pack("<QiiQQ4d", 1, 1, 1, WIDTH, HEIGHT, 40, 40, 20, 16)
    )
    images = struct.pack("<Q", 3)
    for i in range(3):
        images += struct.pack("<I7dI", i, 1, 0, 0, 0, -0.1 * i, 0, 0, 1) + f"{i}.png\0".encode()
        images += struct.pack("<Q", 1) + struct.pack("<ddq", 1, 2, -1)
    (model / "images.bin").write_bytes(images)
    return model / ("cameras.bin" if kind == "colmap_cameras" else "images.bin")


JSON_KINDS = ("nerfstudio", "split", "blender", "photos", "camera_path")
KINDS = (*JSON_KINDS, "colmap_text", "colmap_cameras", "colmap_images")


def load(folder: Path, file: Path) -> None:
    """Load; a refusal must name the file (or the photo) and be printable anywhere."""
    targets = str(file) if file.name == "path.json" else None
    try:
        load_scene(folder, targets=targets).validate()
    except SceneError as error:
        told = str(error)
        told.encode("utf-8")
        names = (
            file.name,
            "images/",
            "the scene has no targets",
            "none of the",
            "near",
            "split",
            "sparse",
        )
        assert any(name in told for name in names), told
        assert len(told) < 1500


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value; of long lists the first and the last."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for index in sorted({0, len(value) - 1}):
            yield from places(value[index], (*path, index))


def spoiled(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize("kind", JSON_KINDS)
@pytest.mark.parametrize("value", BAD, ids=range(len(BAD)))
def test_a_wrong_value_at_any_place_is_refused_with_the_file(tmp_path, kind, value):
    file = scene_of(tmp_path / "scene", kind)
    content = json.loads(file.read_text())
    load(tmp_path / "scene", file)
    count = 0
    for path in places(content):
        file.write_text(json.dumps(spoiled(content, path, value)))
        load(tmp_path / "scene", file)
        count += 1
    assert count >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_anywhere_is_refused_or_right(tmp_path, kind):
    file = scene_of(tmp_path / "scene", kind)
    whole = file.read_bytes()
    for length in sorted({int(len(whole) * part / 25) for part in range(25)}):
        file.write_bytes(whole[:length])
        load(tmp_path / "scene", file)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_key_or_file_is_refused_or_right(tmp_path, kind):
    file = scene_of(tmp_path / "scene", kind)
    if kind in JSON_KINDS:
        content = json.loads(file.read_text())
        for path in places(content):
            changed = copy.deepcopy(content)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            del inner[path[-1]]
            file.write_text(json.dumps(changed))
            load(tmp_path / "scene", file)
    for photo in (tmp_path / "scene/images").iterdir():
        photo.write_bytes(b"")
    load(tmp_path / "scene", file)
    shutil.rmtree(tmp_path / "scene/images")
    load(tmp_path / "scene", file)


@pytest.mark.parametrize(
    "text", ["[" * 50000, '{"frames": ' * 5000, "\ufeff{}", "NaN", '"\\ud800"']
)
def test_json_that_no_reader_expects(tmp_path, text):
    file = scene_of(tmp_path / "scene", "nerfstudio")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SceneError, match=r"transforms\.json"):
        load_scene(tmp_path / "scene")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bytes_flipped_anywhere_are_refused_or_right(tmp_path, data):
    kind = data.draw(st.sampled_from(KINDS))
    folder = tmp_path / "scene"
    shutil.rmtree(folder, ignore_errors=True)
    file = scene_of(folder, kind)
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(content))
    load(folder, file)
