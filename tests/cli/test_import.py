"""``import`` keeps every frame, and what it writes is the same scene."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_scenes import write_photo_scene
from PIL import Image

from sphinx_framework.cli.next_command import fitting_config, render_command
from sphinx_framework.config import load_config
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import load_scene


@pytest.fixture
def source(tmp_path):
    folder = write_photo_scene(tmp_path / "source", count=7)
    (folder / "masks").mkdir()
    Image.new("L", (40, 32), 255).save(folder / "masks/3.png")
    content = json.loads((folder / "transforms.json").read_text())
    content.update(near=0.5, far=40.0)
    content["frames"][3]["mask_path"] = "masks/3.png"
    for frame in content["frames"]:
        frame["transform_matrix"][2][3] += 1 / 3
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def imported(command, source, *more):
    out = command.folder / "imported"
    ended = command("import", source, "--out", out, "--json", *more)
    assert ended.code == 0, ended.err
    return out, json.loads(ended.out)


def same(first, second):
    for one, other in ((first.inputs, second.inputs), (first.targets, second.targets)):
        assert torch.allclose(one.world_from_camera, other.world_from_camera, atol=1e-6)
        assert torch.allclose(one.intrinsics, other.intrinsics, atol=1e-5)
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.target_images, second.target_images)
    assert (first.near, first.far) == (second.near, second.far)


def test_frames_targets_depths_and_masks_are_kept_and_photos_copied(command, source):
    out, told = imported(command, source)
    assert (told["photos"], told["inputs"], told["targets"]) == (7, 2, 5)
    same(load_scene(out), load_scene(source))
    for index in range(7):
        name = f"images/{index}.png"
        assert (out / name).read_bytes() == (source / name).read_bytes()
    assert (out / "masks/3.png").read_bytes() == (source / "masks/3.png").read_bytes()
    assert load_scene(out).order == load_scene(source).order


def test_frames_of_no_split_are_kept_too(command, source):
    (source / "train_test_split_2.json").write_text('{"train_ids": [5, 1], "test_ids": [3]}')
    out, told = imported(command, source)
    assert (told["photos"], told["inputs"], told["targets"]) == (7, 2, 1)
    same(load_scene(out), load_scene(source))


def test_smaller_copies_extensionless_names_and_exif_are_the_same_scene(command, source):
    (source / "images").rename(source / "images_4")
    content = json.loads((source / "transforms.json").read_text())
    for frame in content["frames"]:
        frame["file_path"] = frame["file_path"].removesuffix(".png")
    for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
        content[key] *= 4
    (source / "transforms.json").write_text(json.dumps(content))
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (source / "images_4").iterdir():
        Image.open(path).save(path, exif=exif)
    out, _ = imported(command, source)
    same(load_scene(out), load_scene(source))


def test_photos_of_one_name_in_two_folders_stay_apart(command, source):
    content = json.loads((source / "transforms.json").read_text())
    for index, frame in enumerate(content["frames"]):
        (source / f"camera{index}").mkdir()
        shutil.move(source / "images" / f"{index}.png", source / f"camera{index}/photo.png")
        frame["file_path"] = f"camera{index}/photo.png"
    (source / "transforms.json").write_text(json.dumps(content))
    out, _ = imported(command, source)
    same(load_scene(out), load_scene(source))


def test_the_next_command_is_printed_and_right(command, source, monkeypatch):
    monkeypatch.delenv("SPHINX_FRAMEWORK_PLUGINS")
    ended = command("import", source, "--out", command.folder / "imported")
    assert "render them with: sphinx-nvs render --config lite --scene" in ended.told


def test_where_no_pipeline_is_installed_the_next_step_is_to_install_one(command, source):
    _, told = imported(command, source)
    assert told["next"] == ""
    assert "install one, such as sphinx-framework-lite" in told["note"]


@pytest.mark.parametrize(
    ("left_out", "inputs", "wanted"),
    [
        ("-none", 2, "lite"),
        ("-lite", 2, None),
        ("-none", 1, "sharp-viewcrafter"),
        ("-sharp", 1, "viewcrafter-single"),
    ],
)
def test_the_pipeline_to_go_on_with_is_installed_and_takes_the_number_of_photos(
    monkeypatch, left_out, inputs, wanted
):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", left_out)
    registry = Registry.from_entry_points()
    found = fitting_config(inputs, registry)
    if (
        wanted is None
    ):  # the quality scores of most pipelines are lite's; what is left must be there
        assert found != "lite"
    else:
        assert found == wanted
    if found is not None:
        load_config(found).validate_options(registry, found)


def test_an_estimator_that_has_nothing_to_estimate_is_refused(command, source):
    told = ("no folder of photos without cameras",)
    ended = command("import", source, "--out", command.folder / "i", "--poses", "colmap")
    assert ended.code == 2
    assert told[0] in ended.told
    ended = command.render("--poses", "colmap")
    assert ended.code == 2
    assert told[0] in ended.told


def test_the_estimator_of_a_render_is_the_one_that_is_asked_for(command):
    command.scene = command.scene / "images"
    ended = command.render("--poses", "none-such")
    assert ended.code == 2
    assert "no poses component is named 'none-such'" in ended.told


def test_a_colmap_model_imports_to_the_same_cameras(command, source):
    scene = load_scene(source)
    model = source / "sparse/0"
    model.mkdir(parents=True)
    (source / "transforms.json").rename(source / "old.json")
    (model / "cameras.txt").write_text("# one\n1 PINHOLE 40 32 40 40 20 16\n")
    content = json.loads((source / "old.json").read_text())
    lines = ["# images"]
    for index, frame in enumerate(content["frames"]):
        x, y, z = (row[3] for row in frame["transform_matrix"][:3])
        lines += [f"{index + 1} 1 0 0 0 {-x} {-y} {-z} 1 {index}.png", ""]
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    (source / "train_test_split_2.json").unlink()
    found = load_scene(source)
    assert torch.allclose(found.inputs.world_from_camera, scene.inputs.world_from_camera, atol=1e-6)
    assert torch.allclose(found.inputs.intrinsics, scene.inputs.intrinsics)
    out, told = imported(command, source)
    assert told["photos"] == 7
    again = load_scene(out)
    assert torch.allclose(again.inputs.world_from_camera, found.inputs.world_from_camera)
    assert torch.equal(again.images, found.images)


def test_a_blurred_and_a_dark_photo_are_told(command, source):
    noise = np.random.default_rng(0).integers(0, 255, (32, 40, 3), dtype=np.uint8)
    split = {"train_ids": [0, 1, 2, 3], "test_ids": [4]}
    (source / "train_test_split_2.json").write_text(json.dumps(split))
    for index in (0, 1, 2):
        Image.fromarray(noise).save(source / f"images/{index}.png")
    Image.new("RGB", (40, 32), (9, 9, 9)).save(source / "images/3.png")
    _, told = imported(command, source)
    assert any("3.png" in text and "blurred" in text for text in told["warnings"])
    assert any("brightness differs" in text for text in told["warnings"])


def test_a_missing_photo_of_an_input_is_refused_and_one_of_a_target_told(command, source):
    (source / "images/3.png").unlink()
    _, told = imported(command, source)
    assert "1 of 7 cameras have no photo" in told["warnings"]
    (source / "images/0.png").unlink()
    ended = command("import", source, "--out", command.folder / "other")
    assert ended.code == 2
    assert "images/0.png" in ended.err
    assert not (command.folder / "other").exists()


@pytest.mark.parametrize("out", ["scene", "scene/", "my scene", "./", "a/b//"])
def test_the_next_command_writes_beside_the_scene(monkeypatch, tmp_path, out):
    monkeypatch.delenv("SPHINX_FRAMEWORK_PLUGINS", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    printed, _ = render_command(out, 2, 3, Registry.from_entry_points())
    words = shlex.split(printed)
    scene, beside = (Path(words[words.index(name) + 1]) for name in ("--scene", "--out"))
    assert scene.resolve() == Path(out).resolve()
    assert beside.resolve().parent == scene.resolve().parent


@pytest.mark.parametrize(("side", "asked"), [(0, False), (191, False), (192, True), (4000, True)])
def test_the_next_command_asks_for_the_size_that_the_photos_have(monkeypatch, side, asked):
    monkeypatch.delenv("SPHINX_FRAMEWORK_PLUGINS", raising=False)
    printed, _ = render_command("scene", 2, 3, Registry.from_entry_points(), side)
    assert ("--size 192" in printed) == asked


def test_masks_that_no_key_names_are_copied(command, source):
    content = json.loads((source / "transforms.json").read_text())
    del content["frames"][3]["mask_path"]
    (source / "transforms.json").write_text(json.dumps(content))
    out, told = imported(command, source)
    assert (out / "masks/3.png").read_bytes() == (source / "masks/3.png").read_bytes()
    assert any("masks of 1 photo are not used" in warning for warning in told["warnings"])


def test_an_input_without_its_photo_is_named_in_one_printable_line(command, source):
    content = json.loads((source / "transforms.json").read_text())
    content["frames"][0]["file_path"] = "images/a\nb\x1b[31m.png"
    (source / "transforms.json").write_text(json.dumps(content))
    ended = command("import", source, "--out", command.folder / "imported")
    assert ended.code == 2
    assert "a\\nb\\x1b[31m.png is not there" in ended.err.replace("\n", " ")
    assert "\x1b" not in ended.err
    assert "Check the file names" in ended.err


def test_a_number_of_frames_of_what_is_no_video_is_refused(command, source):
    ended = command("import", source, "--out", command.folder / "imported", "--frames", "4")
    assert ended.code == 2
    assert "is no video" in ended.err.replace("\n", " ")
    assert not (command.folder / "imported").exists()
    ended = command("import", source / "no", "--out", command.folder / "imported", "--frames", "4")
    assert ended.code == 2
    assert "is no video" not in ended.err.replace("\n", " ")
