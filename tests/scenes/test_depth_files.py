"""Depths beside photos: near and far come from them, import keeps them, odd ones are refused."""

import json

import numpy as np
import pytest
from PIL import Image

from sphinx_framework.cli.main import main
from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene

HEIGHT, WIDTH = 32, 40
# Millimetres: half of the picture at 2 m, half at 5 m, a corner unknown.
MILLIMETRES = np.repeat([[2000, 5000]], HEIGHT, axis=0).repeat(WIDTH // 2, axis=1)
MILLIMETRES[:4, :4] = 0


def as_png(folder):
    Image.fromarray(MILLIMETRES.astype(np.uint16)).save(folder / "depth.png")
    return "depth.png"


def as_deep_tiff(folder):
    Image.fromarray(MILLIMETRES.astype(np.int32)).save(folder / "deep.tiff")
    return "deep.tiff"


def as_tiff(folder):
    Image.fromarray(MILLIMETRES.astype(np.float32)).save(folder / "depth.tiff")
    return "depth.tiff"


def as_array(folder):
    np.save(folder / "depth.npy", np.where(MILLIMETRES == 0, np.nan, MILLIMETRES)[..., None])
    return "depth.npy"


def with_depth(name):
    def change(content, folder):
        for frame in content["frames"]:
            frame["depth_file_path"] = name if isinstance(name, str) else name(folder)

    return change


@pytest.mark.parametrize("write", [as_png, as_deep_tiff, as_tiff, as_array])
def test_near_and_far_come_from_the_depths(bring, write):
    scene = bring(with_depth(write))
    assert (scene.near, scene.far) == pytest.approx((1.8, 5.5), rel=1e-3)
    assert scene.warnings == ()


def test_a_unit_of_the_file_counts_and_near_and_far_of_the_file_win(bring):
    def change(content, folder):
        with_depth(as_png)(content, folder)
        content["depth_unit_scale_factor"] = 0.01

    assert bring(change).far == pytest.approx(55, rel=1e-3)

    def stated(content, folder):
        with_depth(as_png)(content, folder)
        content.update(near=1.0, far=7.0)

    assert (bring(stated).near, bring(stated).far) == (1.0, 7.0)


def test_import_keeps_depths_their_unit_and_what_follows(clean, tmp_path, capsys):
    content = json.loads((clean / "transforms.json").read_text())
    with_depth(as_png)(content, clean)
    content["depth_unit_scale_factor"] = 0.002
    (clean / "transforms.json").write_text(json.dumps(content))
    assert main(["import", str(clean), "--out", str(tmp_path / "out")]) == 0
    kept = json.loads((tmp_path / "out/transforms.json").read_text())
    assert kept["depth_unit_scale_factor"] == 0.002
    for frame in kept["frames"]:
        copied = tmp_path / "out" / frame["depth_file_path"]
        assert copied.read_bytes() == (clean / "depth.png").read_bytes()
    again = load_scene(tmp_path / "out")
    assert (again.near, again.far) == pytest.approx((3.6, 11), rel=1e-3)
    assert "depths: 3.6 to 11" in capsys.readouterr().out


def test_depths_that_are_not_there_are_counted(bring):
    scene = bring(with_depth("nowhere.png"))
    assert scene.near is None
    (told,) = scene.warnings
    assert "'depth_file_path': 12 of its files are not there" in told


def test_depths_of_instant_ngp_are_said_not_to_be_used(bring):
    def change(content, _):
        for frame in content["frames"]:
            frame["depth_path"] = "depth.png"

    assert any("'depth_path'" in warning for warning in bring(change).warnings)


def coloured(folder):
    Image.new("RGB", (4, 4)).save(folder / "colour.png")
    return "colour.png"


def negative(folder):
    np.save(folder / "negative.npy", np.full((4, 4), -1.0))
    return "negative.npy"


def pickled(folder):
    np.save(folder / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return "pickled.npy"


def cube(folder):
    np.save(folder / "cube.npy", np.zeros((2, 2, 2)))
    return "cube.npy"


def cut(folder):
    (folder / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    return "cut.npy"


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (coloured, "colours"),
        (negative, "negative depths"),
        (pickled, "array"),
        (cube, r"\[H, W\]"),
        (cut, "cannot be read"),
        ("../clean/depth.png", "leads out"),
        (7, "a string"),
    ],
)
def test_depths_that_cannot_be_are_refused_by_key(bring, write, told):
    def change(content, folder):
        with_depth(write)(content, folder) if not isinstance(write, int) else content["frames"][
            0
        ].update(depth_file_path=write)

    with pytest.raises(SceneError, match=rf"(?s)frames\[0\], 'depth_file_path'.*{told}"):
        bring(change)


@pytest.mark.parametrize("unit", [0, -1, 1e30])
def test_a_unit_that_cannot_be_is_refused(bring, unit):
    def change(content, folder):
        with_depth(as_png)(content, folder)
        content["depth_unit_scale_factor"] = unit

    with pytest.raises(SceneError, match="depth_unit_scale_factor"):
        bring(change)


@pytest.mark.parametrize("write", [coloured, negative, cut])
def test_near_and_far_do_without_depths_that_cannot_be_read(bring, write):
    with pytest.raises(SceneError, match=r"(?s)16 or 32 bits, or \.npy.*--near"):
        bring(with_depth(write))
    found = bring(with_depth(write), near=0.5, far=9.0)
    assert (found.near, found.far) == (0.5, 9.0)
