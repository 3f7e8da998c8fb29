"""COLMAP's cameras: lenses and rows that cannot be are refused by name where they matter."""

import struct

import pytest
from brought import same
from photo_scenes import SIZE
from scene_formats import colmap_binary, colmap_text

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene

HEIGHT, WIDTH = SIZE
OURS = f"7 SIMPLE_PINHOLE {WIDTH} {HEIGHT} 40 20 16\n"


def with_cameras(brought, rows):
    folder, poses, _ = brought
    colmap_text(folder, poses)
    (folder / "sparse/0/cameras.txt").write_text(rows)
    return folder


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
        ("SIMPLE_FISHEYE", 3),
        ("FISHEYE", 4),
        ("DIVISION", 5),
        ("EQUIRECTANGULAR", 2),
        ("OPENCV_FISHEYE", 8),
    ],
)
def test_another_lens_is_named_with_what_to_do(brought, model, values):
    row = f"7 {model} {WIDTH} {HEIGHT} {'1 ' * values}\n"
    wanted = rf"camera 7: the camera model {model} is not a pinhole.*image_undistorter"
    with pytest.raises(SceneError, match=f"(?s){wanted}"):
        load_scene(with_cameras(brought, row))


def test_a_lens_of_no_photo_refuses_nothing(brought):
    other = f"8 OPENCV_FISHEYE {WIDTH} {HEIGHT} 40 40 20 16 0 0 0 0\n"
    same(load_scene(with_cameras(brought, OURS + other)), brought[2])


@pytest.mark.parametrize(
    ("model", "count", "wanted"),
    [
        (11, 16, "RAD_TAN_THIN_PRISM_FISHEYE is not a pinhole"),
        (14, 3, "SIMPLE_FISHEYE is not a pinhole"),
        (99, 4, "camera 3: its model, number 99, is no known"),
        (-1, 4, "camera 3: its model, number -1, is no known"),
    ],
)
def test_a_binary_file_of_another_lens_says_which(brought, model, count, wanted):
    folder, poses, _ = brought
    colmap_binary(folder, poses)
    row = struct.pack(f"<QiiQQ{count}d", 1, 3, model, WIDTH, HEIGHT, *[1.0] * count)
    (folder / "sparse/0/cameras.bin").write_bytes(row)
    with pytest.raises(SceneError, match=f"(?s){wanted}.*image_undistorter"):
        load_scene(folder)


def test_too_few_or_too_many_parameters_are_counted(brought):
    row = f"7 PINHOLE {WIDTH} {HEIGHT} 40 20 16\n"
    with pytest.raises(SceneError, match=r"camera 7: PINHOLE has the 4 parameters.*; here are 3"):
        load_scene(with_cameras(brought, row))


def test_a_model_is_known_in_small_letters_and_a_near_miss_is_told(brought):
    folder = with_cameras(brought, OURS.lower())
    same(load_scene(folder), brought[2])
    (folder / "sparse/0/cameras.txt").write_text(OURS.replace("PINHOLE", "PINHOL"))
    with pytest.raises(
        SceneError, match=r"(?s)SIMPLE_PINHOL is not.*Did you mean 'SIMPLE_PINHOLE'"
    ):
        load_scene(folder)


def test_a_camera_that_stands_twice_is_refused(brought):
    with pytest.raises(SceneError, match=r"cameras\.txt: holds the camera 7 twice"):
        load_scene(with_cameras(brought, OURS + OURS.replace("40 20 16", "50 20 16")))
