"""Requests that hang, exhaust or confuse others: one clear error at once, and nothing written."""

import json
import os
import resource
import stat

import pytest


def refused(ended, *told, code=2):
    assert ended.code == code, ended
    assert "Traceback" not in ended.err
    assert "bug" not in ended.err
    for part in told:
        assert part in ended.told, ended.err


def listing(folder):
    return {
        p: p.lstat().st_mtime_ns for p in folder.rglob("*") if not stat.S_ISDIR(p.lstat().st_mode)
    }


@pytest.mark.parametrize(
    "name",
    ["transforms.json", "train_test_split_2.json", "cameras.json", "images/0.png", "images/2.png"],
)
@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_a_pipe_or_an_endless_device_in_a_scene_does_not_hang(command, name, kind):
    place = command.scene / name
    if name == "cameras.json":
        (command.scene / "transforms.json").unlink()
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    ended = command.render()
    assert ended.code in (0, 2), ended  # a target's photo is only ground truth
    if ended.code:
        refused(ended)
        assert not command.out.exists()
    else:
        assert name == "images/2.png"


@pytest.mark.parametrize("option", ["--targets", "--config", "--cost"])
@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_a_pipe_or_an_endless_device_in_place_of_a_file_does_not_hang(command, option, kind):
    place = command.folder / ("x.json" if option == "--targets" else "x.toml")
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    refused(command.render(option, place), place.name, "pipe or a device")


@pytest.mark.parametrize("value", ["[" * 5000 + "]" * 5000, "{a=" * 3000 + "1" + "}" * 3000])
def test_deeply_nested_toml_is_refused(command, value):
    command.config.write_text(f"deep = {value}\n")
    refused(command.render(), "pipeline.toml")
    command.config.write_text("summary = 'x'\n")
    refused(command.render("--set", f"mask.seed={value}"), "mask.seed")


@pytest.mark.parametrize("value", ["100000", "-1", "0", "1e9", "'all'", "9" * 400])
def test_impossible_numbers_of_threads_are_refused(command, value):
    refused(command.render("--set", f"engine.threads={value}"), "engine.threads")


@pytest.mark.parametrize(
    "scene",
    [
        "procedural:report/0-999999999",
        "procedural:report/-1",
        "procedural:../../etc/passwd",
        "a\0b",
        "x" * 5000,
        "~nobody-of-that-name/x",
        "",
        "/dev/zero",
        "/proc/self/mem",
        "test:key",
        "\udcff",
    ],
)
@pytest.mark.parametrize("verb", ["render", "import"])
def test_paths_that_are_no_scene_are_refused_by_name(command, monkeypatch, scene, verb):
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,lite")
    given = ("--config", command.config, "--scene") if verb == "render" else ()
    refused(command(verb, *given, scene, "--out", command.out))
    assert not command.out.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"w": 10**9, "h": 10**9},
        {"w": 0.5},
        {"fl_x": 1e-300},
        {"fl_x": 1e300},
        {"cx": -1e12},
        {"camera_angle_x": 400, "fl_x": None},
        {"camera_model": 7},
        {"camera_model": "EQUIRECTANGULAR"},
        {"applied_transform": [[0] * 4] * 3},
        {"applied_transform": [[1, 0, 0, 1e300], [0, 1, 0, 0], [0, 0, 1, 0]]},
        {"near": 5, "far": 1},
        {"near": 1},
        {"train_filenames": [1]},
        {"k1": "much"},
        {"k1": 1e9},
        {"frames": {"0": {}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["render", "import"])
def test_values_that_cannot_be_are_refused_with_file_and_key_by_every_command(
    command, change, verb
):
    if "train_filenames" in change:
        (command.scene / "train_test_split_2.json").unlink()
    path = command.scene / "transforms.json"
    content = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(content))
    before = listing(command.scene)
    given = ("--config", command.config, "--scene") if verb == "render" else ()
    ended = command(verb, *given, command.scene, "--out", command.out)
    refused(ended)
    key = next(iter(change))
    assert "transforms.json" in ended.told
    assert key in ended.told or "frame" in ended.told, ended.err
    assert listing(command.scene) == before
    assert not command.out.exists()


@pytest.mark.parametrize("verb", ["render", "import"])
@pytest.mark.parametrize("limit", [0, 100, 1500])
def test_a_disk_that_is_full_leaves_nothing_half_and_the_next_run_works(command, verb, limit):
    given = ("--config", command.config, "--device", "cpu", "--scene") if verb == "render" else ()
    words = (verb, *given, command.scene, "--out", command.out)
    before = listing(command.scene)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        ended = command(*words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ended.code in (1, 2), ended
    assert "Traceback" not in ended.err
    assert "bug" not in ended.err
    assert "out" in ended.err
    assert listing(command.scene) == before
    left = list(listing(command.out)) if command.out.exists() else []
    assert not [p for p in left if not any(part.startswith(".") for part in p.parts)], left
    assert command(*words).code == 0


@pytest.mark.parametrize("verb", ["render", "import"])
def test_a_place_where_nothing_can_be_made_is_told_with_its_path(command, verb):
    given = ("--config", command.config, "--scene") if verb == "render" else ()
    refused(command(verb, *given, command.scene, "--out", "/proc/nothing/out"), "/proc/nothing")
