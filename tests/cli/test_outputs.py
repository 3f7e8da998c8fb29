"""No command touches what it reads, or files that it did not write."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def writers(command):
    """Every command that writes, as a call with its --out."""
    scene, config = command.scene, command.config
    use = ("--config", config, "--device", "cpu")
    return {
        "render": lambda out: command("render", *use, "--scene", scene, "--out", out),
        "demo": lambda out: command(
            "demo", "--config", config, "--scene", scene, "--device", "cpu", "--out", out
        ),
        "import": lambda out: command("import", scene, "--out", out),
        "measure": lambda out: command("measure", *use, "--scene", scene, "--out", out),
        "calibrate": lambda out: command(
            "calibrate", *use, "--scenes", scene, "--qualities", "0.9", "--out", out
        ),
        "evaluate": lambda out: command(
            "evaluate", *use, "--scenes", scene, "--energy", "none", "--out", out
        ),
        "sweep": lambda out: command(
            "sweep", *use, "--scenes", scene, "--energy", "none", "--out", out
        ),
    }


COMMANDS = ("render", "demo", "import", "measure", "calibrate", "evaluate", "sweep")


def refused(ended, *told):
    assert ended.code == 2, ended
    assert "Traceback" not in ended.err
    assert "bug" not in ended.err
    assert ended.out == ""
    for part in told:
        assert part in ended.told, ended.err


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("out", ["", "images", "new", "a/b", ".."])
def test_an_output_in_or_around_the_scene_is_refused(writers, command, name, out):
    before = snapshot(command.scene)
    place = command.scene / out
    if name in ("measure", "calibrate"):
        place = command.scene / out / "file.toml" if out != ".." else command.scene
    refused(writers[name](place), "--out")
    assert snapshot(command.scene) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_link_to_the_scene_is_the_scene(writers, command, name):
    before = snapshot(command.scene)
    link = command.folder / "link"
    link.symlink_to(command.scene, target_is_directory=True)
    refused(writers[name](link / "x.toml"), "--out", "scene")
    assert snapshot(command.scene) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_photos_with_the_names_of_frames_are_never_replaced(writers, command, name):
    for folder in ("frames", "coarse", "images", "scenes", "sheets", "x.samples"):
        (command.out / folder).mkdir(parents=True)
        for index in range(8):
            photo = np.full((4, 4, 3), index, np.uint8)
            Image.fromarray(photo).save(command.out / folder / f"{index:03d}.png")
    (command.out / "x.toml").write_text("mine")
    before = snapshot(command.out)
    out = command.out / "x.toml" if name in ("measure", "calibrate") else command.out
    refused(writers[name](out), "--out")
    assert snapshot(command.out) == before


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("out", ["a\0b", "z" * 5000, "o" * 256, "~no-such-user/x", "/dev/null/x"])
def test_names_that_no_file_can_have_are_bad_input(writers, name, out):
    refused(writers[name](out), "--out")


@pytest.mark.parametrize("name", ["render", "import"])
def test_a_second_run_replaces_the_first(writers, command, name):
    assert writers[name](command.out).code == 0
    first = snapshot(command.out)
    assert writers[name](command.out).code == 0
    assert snapshot(command.out).keys() == first.keys()
    (command.out / "notes.txt").write_text("mine")
    refused(writers[name](command.out), "notes.txt")


def test_a_result_is_no_output_for_its_own_import(writers, command):
    writers["render"](command.out)
    before = snapshot(command.out)
    refused(command("import", command.out, "--out", command.out), "overlaps the scene")
    assert snapshot(command.out) == before


@pytest.mark.parametrize("wait", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_render_changes_nothing_and_the_next_one_works(command, wait, blow):
    before = snapshot(command.scene)
    given = ("--config", command.config, "--scene", command.scene, "--device", "cpu")
    arguments = ["render", *given, "--out", command.out]
    running = subprocess.Popen(
        [sys.executable, "-m", "sphinx_framework", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(command.plugins.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for _ in range(6000):
        if (command.out / ".sphinx-partial").exists() or running.poll() is not None:
            break
        time.sleep(0.02)
    time.sleep(wait)
    running.send_signal(blow)
    _, told = running.communicate(timeout=120)
    assert b"Traceback" not in told
    assert snapshot(command.scene) == before
    if (command.out / "report.json").exists():
        json.loads((command.out / "report.json").read_text())
    else:
        shown = list(snapshot(command.out)) if command.out.exists() else []
        assert all(n.startswith((".sphinx-partial/", "manifest.json")) for n in shown), shown
    assert command.render().code == 0
    assert not (command.out / ".sphinx-partial").exists()
