"""LLFF arrays that are odd and yet say which cameras there are."""

import numpy as np
import pytest
from brought import same, told
from scene_formats import llff

from sphinx_framework.scenes.llff import read_llff
from sphinx_framework.scenes.load import load_scene


def changed(brought, change):
    folder, poses, _ = brought
    llff(folder, poses)
    file = folder / "poses_bounds.npy"
    np.save(file, change(np.load(file)))
    return load_scene(folder)


def with_bounds(near, far):
    def change(rows):
        rows[:, 15], rows[:, 16] = near, far
        return rows

    return change


@pytest.mark.parametrize(("near", "far"), [(9, 0.5), (-1, 9), (0, 9), (2, 2)])
def test_bounds_that_cannot_be_are_told(brought, near, far):
    found = changed(brought, with_bounds(near, far))
    same(found, brought[2])
    assert (found.near, found.far) == (None, None)
    assert told(found, "poses_bounds.npy", f"{near:g} to {far:g}", "are not used")


@pytest.mark.parametrize("kind", [np.int64, np.uint16, np.float32])
def test_whole_numbers_are_numbers(brought, kind):
    def change(rows):
        for index, row in enumerate(rows):
            row[:15] = [1, 0, 0, index, 32, 0, 1, 0, 0, 40, 0, 0, 1, 0, 40]
            row[15:] = 1, 9
        return rows.astype(kind)

    found = changed(brought, change)
    assert (found.near, found.far) == (1, 9)
    assert float(found.inputs.intrinsics[0, 0, 0]) == 40


def test_rows_follow_the_names_as_texts_are_sorted(brought):
    folder, poses, _ = brought
    llff(folder, poses)
    capture = read_llff(folder)
    for index, shot in enumerate(capture.shots):  # in the order of the capture: 0, 1, 2, ... 11
        assert shot.file == folder / f"images/{index}.png"
        row = sorted(range(12), key=str).index(index)  # 0, 1, 10, 11, 2, ...
        assert shot.where.endswith(f"row {row}")
        assert np.allclose(shot.world_from_camera, poses[index])
    assert (capture.inputs, capture.targets) == ((0, 11), tuple(range(1, 11)))


def test_a_folder_with_the_name_of_a_photo_is_none(brought):
    folder, poses, clean = brought
    llff(folder, poses)
    (folder / "images/zz.png").mkdir()
    same(load_scene(folder), clean)
