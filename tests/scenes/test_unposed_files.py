"""Which files of a folder are its photos, and which scene of a chunk is meant."""

import pytest
import torch
from brought import same
from scene_formats import chunk_scene

from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.unposed import photo_files


def test_a_folder_with_the_name_of_a_photo_is_none(brought):
    folder, _, _ = brought
    (folder / "images/zz.png").mkdir()
    assert [file.name for file in photo_files(folder)] == [f"{i}.png" for i in range(12)]


@pytest.mark.parametrize("place", ["chunks", "chunks/a.torch", "day:2"])
def test_a_key_of_a_chunk_may_hold_a_colon(brought, place):
    folder, poses, clean = brought
    (folder / place.partition("/")[0]).mkdir()
    file = folder / (place if place.endswith(".torch") else f"{place}/a.torch")
    scenes = [chunk_scene(folder, poses, key) for key in ("hall", "room:1:b")]
    torch.save(scenes, file)
    same(load_scene(f"{folder / place}:room:1:b"), clean)
