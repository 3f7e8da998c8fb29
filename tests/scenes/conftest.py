"""A clean scene, and copies of it brought in other forms."""

import json
import shutil

import numpy as np
import pytest
from photo_scenes import write_photo_scene
from scene_formats import FLIP
from scipy.spatial.transform import Rotation

from sphinx_framework.scenes.load import load_scene


@pytest.fixture
def clean(tmp_path):
    folder = write_photo_scene(tmp_path / "clean", count=12)
    (folder / "train_test_split_2.json").unlink()
    return folder


@pytest.fixture
def bring(tmp_path, clean):
    """Load a copy of the clean scene with its JSON changed."""

    def bring(change, **options):
        folder = tmp_path / f"brought{len(list(tmp_path.iterdir()))}"
        shutil.copytree(clean, folder)
        content = json.loads((folder / "transforms.json").read_text())
        content = change(content, folder) or content
        (folder / "transforms.json").write_text(json.dumps(content))
        return load_scene(folder, **options)

    return bring


@pytest.fixture
def turned(clean):
    """The clean scene with cameras that also turn; poses are OpenCV camera-to-world."""
    content = json.loads((clean / "transforms.json").read_text())
    poses = []
    for index, frame in enumerate(content["frames"]):
        pose = np.array(frame["transform_matrix"]) @ FLIP
        pose[:3, :3] = Rotation.from_euler("xyz", [index, -2 * index, 3], degrees=True).as_matrix()
        pose[2, 3] = 0.3
        poses.append(pose)
        frame["transform_matrix"] = (pose @ FLIP).tolist()
    (clean / "transforms.json").write_text(json.dumps(content))
    return clean, poses, load_scene(clean)


@pytest.fixture
def brought(turned, tmp_path):
    """A folder with the photos alone, and the poses of the clean scene."""
    clean, poses, _ = turned
    folder = tmp_path / "brought"
    shutil.copytree(clean, folder)
    (folder / "transforms.json").unlink()
    return folder, poses, clean
