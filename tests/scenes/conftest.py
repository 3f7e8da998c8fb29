"""A clean scene, and copies of it brought in other forms."""

import json
import shutil

import pytest
from photo_scenes import write_photo_scene

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
