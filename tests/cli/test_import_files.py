"""What lies beside photos, masks and depths, stays theirs when a scene is imported."""

import json

import numpy as np
import pytest
from photo_scenes import write_photo_scene
from PIL import Image


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
