"""What lies beside photos, masks and depths, stays theirs when a scene is imported."""

import json

import numpy as np
import pytest
from photo_scenes import write_photo_scene
from PIL import Image
from scene_formats import ANGLE

from sphinx_framework.scenes.depth_files import read_depths
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.transforms import read_transforms


@pytest.fixture
def source(tmp_path):
    return write_photo_scene(tmp_path / "source", count=3)


def imported(command, source):
    out = command.folder / "imported"
    ended = command("import", source, "--out", out)
    assert ended.code == 0, ended.err
    return out, json.loads((out / "transforms.json").read_text())


def test_masks_and_depths_of_photos_with_one_stem_stay_apart(command, source):
    Image.open(source / "images/1.png").save(source / "images/0.JPG", quality=95)
    content = json.loads((source / "transforms.json").read_text())
    content["frames"][1]["file_path"] = "images/0.JPG"
    for index, frame in enumerate(content["frames"]):
        Image.new("L", (40, 32), 10 * index).save(source / f"mask{index}.png")
        np.save(source / f"depth{index}.npy", np.full((32, 40), 1000 + index))
        frame |= {"mask_path": f"mask{index}.png", "depth_file_path": f"depth{index}.npy"}
    (source / "transforms.json").write_text(json.dumps(content))
    out, written = imported(command, source)
    for index, frame in enumerate(written["frames"]):
        assert Image.open(out / frame["mask_path"]).getpixel((0, 0)) == 10 * index
        assert np.load(out / frame["depth_file_path"])[0, 0] == 1000 + index


@pytest.fixture
def pair(source):
    """Blender's pair of files with depths of 3, in units of 1 and of 2."""
    content = json.loads((source / "transforms.json").read_text())
    for file in source.glob("t*.json"):
        file.unlink()
    parts = {"train": (content["frames"][:2], 1.0), "test": (content["frames"][2:], 2.0)}
    for name, (frames, unit) in parts.items():
        np.save(source / f"{name}.npy", np.full((32, 40), 3 / unit))
        for frame in frames:
            frame["depth_file_path"] = f"{name}.npy"
        written = {**ANGLE, "depth_unit_scale_factor": unit, "frames": frames}
        (source / f"transforms_{name}.json").write_text(json.dumps(written))
    return source


def test_depths_of_two_units_keep_their_lengths(command, pair):
    out, _ = imported(command, pair)
    depths = [shot.depth for shot in read_transforms(out).shots]
    assert [float(read_depths(depth).max()) for depth in depths] == [3, 3, 3]


def test_near_and_far_of_the_pair_of_files_count(pair):
    file = pair / "transforms_train.json"
    assert load_scene(pair).far == pytest.approx(3.3)
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "near": 0.5, "far": 20}))
    found = load_scene(pair)
    assert (found.near, found.far) == (0.5, 20)
    scaled = {"near": 0.5, "far": 20, "applied_scale": 0.5}
    file.write_text(json.dumps({**content, **scaled}))
    found = load_scene(pair)
    assert (found.near, found.far) == (1, 40)
