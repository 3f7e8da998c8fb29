import json
import shutil
import subprocess
import sys

import pytest
import torch

from sphinx_framework.cli import view as command
from sphinx_framework.cli.main import main
from sphinx_framework.errors import InputError
from sphinx_framework.view.folder import cameras_of, read_result
from sphinx_framework.view.panel import why


@pytest.fixture
def copied(result_folder, tmp_path):
    return shutil.copytree(result_folder, tmp_path / "copy")


def test_a_result_is_read_with_its_cameras_and_reasons(result_folder):
    result = read_result(result_folder)
    assert len(result.frames) == 5
    assert cameras_of(result).image_size == (32, 48)
    assert result.splats is not None
    assert result.inputs is None
    assert "--scene" in result.inputs_note
    assert "**Frame 2**" in why(result.frames[2], result.num_steps)


def test_the_photos_of_a_scene_that_is_named_are_fitted_like_the_frames(result_folder, tmp_path):
    from photo_scenes import write_photo_scene

    scene = write_photo_scene(tmp_path / "scene")
    result = read_result(result_folder, str(scene))
    assert result.inputs is not None
    assert tuple(result.inputs.images.shape[-2:]) == (32, 48)


def test_the_photos_are_those_of_the_split_that_was_rendered(result_folder, tmp_path):
    from photo_scenes import write_photo_scene

    scene = write_photo_scene(tmp_path / "scene")
    split = json.dumps({"train_ids": [1, 2], "test_ids": [3]})
    (scene / "train_test_split_7.json").write_text(split)
    usual = read_result(result_folder, str(scene)).inputs
    chosen = read_result(result_folder, str(scene), split="7").inputs
    assert not torch.equal(usual.images, chosen.images)


def edit(folder, change):
    report = json.loads((folder / "report.json").read_text())
    change(report)
    (folder / "report.json").write_text(json.dumps(report))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "report.json").unlink(), "holds no result"),
        (lambda f: (f / "report.json").write_text("[" * 100_000), "holds no result"),
        (lambda f: (f / "report.json").write_text("{}"), "no report of a render"),
        (lambda f: edit(f, lambda r: r.pop("num_steps")), "num_steps"),
        (lambda f: edit(f, lambda r: r["frames"].pop()), "4 frames and transforms.json 5"),
        (lambda f: edit(f, lambda r: r.update(frames=[1])), "frames"),
        (lambda f: (f / "coarse" / "003.png").unlink(), "003.png"),
        (lambda f: (f / "transforms.json").write_text("{"), "transforms.json"),
    ],
)
def test_a_damaged_result_is_refused_in_words(copied, damage, said):
    damage(copied)
    with pytest.raises(InputError, match=said):
        read_result(copied)


def test_a_missing_folder_ends_with_2(tmp_path, capsys):
    assert main(["view", str(tmp_path / "nothing")]) == 2
    assert "holds no result" in capsys.readouterr().err


def test_without_the_extra_the_command_says_what_to_install(result_folder, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert main(["view", str(result_folder)]) == 2
    assert "sphinx-framework[view]" in capsys.readouterr().err


def test_an_impossible_port_is_refused(result_folder, capsys):
    pytest.importorskip("viser")
    assert main(["view", str(result_folder), "--port", "70000"]) == 2
    assert "--port" in capsys.readouterr().err


def test_viser_and_torch_are_loaded_only_when_something_is_shown():
    code = "import sys, sphinx_framework.cli.view; print({'viser', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused_at_once(result_folder, capsys, host):
    assert main(["view", str(result_folder), "--host", host]) == 2
    assert f"--host {host}: cannot be listened on" in capsys.readouterr().err
