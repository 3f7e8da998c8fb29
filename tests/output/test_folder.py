"""An output folder replaces only what is ours, and shows a result whole or not at all."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import stopped_writer

from sphinx_framework.errors import ConfigError, JobError
from sphinx_framework.folders.folder import PARTIAL, OutputFolder
from sphinx_framework.folders.single import open_file, write_file


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def results(folder: Path) -> dict[str, bytes]:
    found = contents(folder)
    found.pop("manifest.json", None)
    return found


def publish(place: Path, **files: str) -> None:
    with OutputFolder(place) as folder, folder.replacing(last="report") as new:
        for name, text in files.items():
            (new / name).write_text(text)


def test_the_next_result_replaces_the_last_and_nothing_stays_behind(tmp_path):
    publish(tmp_path / "out", a="1", b="2", report="3")
    publish(tmp_path / "out", a="4", report="5")
    assert results(tmp_path / "out") == {"a": b"4", "report": b"5"}
    listed = json.loads((tmp_path / "out/manifest.json").read_text())
    assert sorted(listed["files"]) == ["a", "report"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    publish(tmp_path / "out", a="1", report="3")
    before = contents(tmp_path / "out")

    def fail():
        with OutputFolder(tmp_path / "out") as folder, folder.replacing() as new:
            (new / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert contents(tmp_path / "out") == before
    assert not (tmp_path / "out" / PARTIAL).exists()


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path):
    with OutputFolder(tmp_path / "new/er"):
        assert (tmp_path / "new/er").is_dir()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["notes.txt", "frames/000.png", "frames/zzz/deep"])
def test_a_file_that_nobody_claims_is_refused_by_name(tmp_path, name):
    publish(tmp_path / "out", a="1")
    (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(ConfigError, match=name):
        OutputFolder(tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"


def test_a_file_of_ours_that_was_edited_is_the_users(tmp_path):
    publish(tmp_path / "out", a="1")
    (tmp_path / "out/a").write_text("2")
    with pytest.raises(ConfigError, match="a, which was changed"):
        OutputFolder(tmp_path / "out")


def test_links_in_the_folder_are_not_followed(tmp_path):
    publish(tmp_path / "out", a="1")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a").write_text("1")
    (tmp_path / "out/a").unlink()
    (tmp_path / "out/a").symlink_to(tmp_path / "photos/a")
    with pytest.raises(ConfigError, match="a, which was changed"):
        OutputFolder(tmp_path / "out")
    (tmp_path / "out/a").unlink()
    (tmp_path / "out/frames").symlink_to(tmp_path / "photos", target_is_directory=True)
    with pytest.raises(ConfigError, match="frames, which is not ours"):
        OutputFolder(tmp_path / "out")


def test_a_file_that_comes_into_the_way_meanwhile_is_kept(tmp_path):
    def overtaken():
        with OutputFolder(tmp_path / "out") as folder, folder.replacing() as new:
            (new / "a").write_text("result")
            (tmp_path / "out/a").write_text("mine")

    with pytest.raises(ConfigError, match="in the way"):
        overtaken()
    assert results(tmp_path / "out") == {"a": b"mine"}


def test_what_desktops_leave_is_ignored_and_kept(tmp_path):
    (tmp_path / ".DS_Store").write_text("x")
    publish(tmp_path, a="1")
    assert results(tmp_path) == {".DS_Store": b"x", "a": b"1"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "x"}', "[" * 100000])
def test_a_manifest_of_someone_else_is_a_file_of_theirs(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=r"manifest\.json"):
        OutputFolder(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == text


def test_a_manifest_that_claims_a_file_outside_is_not_ours(tmp_path):
    publish(tmp_path / "out", a="1")
    listed = json.loads((tmp_path / "out/manifest.json").read_text())
    listed["files"]["../photo"] = listed["files"]["a"]
    (tmp_path / "photo").write_text("1")
    (tmp_path / "out/manifest.json").write_text(json.dumps(listed))
    with pytest.raises(ConfigError, match="not ours"):
        OutputFolder(tmp_path / "out")
    assert (tmp_path / "photo").read_text() == "1"


@pytest.mark.parametrize(
    "out", ["scene", "scene/out", ".", "link", "scene/photos/x", "elsewhere/x"]
)
def test_a_folder_that_overlaps_the_scene_is_refused(tmp_path, out):
    (tmp_path / "scene/photos").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "scene", target_is_directory=True)
    (tmp_path / "scene/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "scene/transforms.json").write_text("{}")
    before = contents(tmp_path)
    for scene in ("scene", "link", "scene/transforms.json"):
        with pytest.raises(ConfigError, match="overlaps the scene"):
            OutputFolder(tmp_path / out, scenes=[tmp_path / scene])
    assert contents(tmp_path) == before
    assert not (tmp_path / "scene/out").exists()


def test_a_folder_that_holds_a_file_that_is_read_is_refused(tmp_path):
    publish(tmp_path / "out", path="{}")
    with pytest.raises(ConfigError, match="which this command reads"):
        OutputFolder(tmp_path / "out", files=[tmp_path / "out/path"])


def test_two_runs_do_not_write_into_one_folder(tmp_path):
    with (
        OutputFolder(tmp_path / "out"),
        pytest.raises(ConfigError, match="another run is writing"),
    ):
        OutputFolder(tmp_path / "out")
    OutputFolder(tmp_path / "out").close()


@pytest.mark.parametrize("out", ["a\0b", "x" * 300, "~nobody-of-that-name/x", "file", "file/out"])
def test_paths_that_no_folder_can_have_are_refused_with_the_path(tmp_path, out, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="--out"):
        OutputFolder(out)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for the superuser")
def test_an_unwritable_folder_is_refused(tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(ConfigError, match="cannot write there"):
        OutputFolder(tmp_path / "out")


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path, monkeypatch):
    publish(tmp_path / "out", a="1", report="2")
    before = contents(tmp_path / "out")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobError, match="the disk is full"):
        publish(tmp_path / "out", a="3", report="4")
    assert contents(tmp_path / "out") == before


def test_files_that_come_one_by_one_are_claimed_each(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    folder.write("scenes/a.json", "1")
    folder.write("scenes/b.json", b"2")
    folder.write("scenes/a.json", "3")
    with pytest.raises(ConfigError, match="no name of a file"):
        folder.write("../b", "4")
    with folder.replacing(keep=lambda name: name.startswith("scenes/")) as new:
        (new / "table").write_text("5")
    folder.close()
    assert results(tmp_path / "out") == {
        "scenes/a.json": b"3",
        "scenes/b.json": b"2",
        "table": b"5",
    }
    OutputFolder(tmp_path / "out").close()


def test_a_run_killed_at_any_call_leaves_the_old_result_or_lets_the_next_complete_the_new(tmp_path):
    stopped_writer.publish(tmp_path / "old", "old")
    stopped_writer.publish(tmp_path / "new", "new")
    old, new = results(tmp_path / "old"), results(tmp_path / "new")
    seen = set()
    for call in range(1, 200):
        place = tmp_path / f"run{call}"
        stopped_writer.publish(place, "old")
        ended = subprocess.run(
            [sys.executable, stopped_writer.__file__, place, "new", str(call)], check=False
        )
        if ended.returncode == 0:
            break
        visible = {n: c for n, c in results(place).items() if not n.startswith((".", PARTIAL))}
        assert all(text in (old.get(name), new.get(name)) for name, text in visible.items())
        if "report.json" in visible:  # a report stands for a whole result, of either generation
            frames = {n: c for n, c in visible.items() if n in old}
            assert frames.items() <= old.items() or new.items() <= visible.items()
        with OutputFolder(place) as folder:
            seen.update(folder.found)
        assert results(place) in (old, new)
        stopped_writer.publish(place, "new")
        assert results(place) == new
    assert ended.returncode == 0
    assert call > 25
    assert any("completed" in note for note in seen)
    assert any("unfinished" in note for note in seen)


def test_a_single_file_is_replaced_only_while_it_is_as_we_wrote_it(tmp_path):
    place = tmp_path / "deep/rules.toml"
    with pytest.raises(ConfigError, match="cannot write there"):
        open_file(place, "--out")
    write_file(open_file(place, "--out", parents=True), "a = 1\n")
    write_file(open_file(place, "--out"), "a = 2\n")
    assert place.read_text().splitlines()[1:] == ["a = 2"]
    place.write_text(place.read_text() + "b = 3\n")
    with pytest.raises(ConfigError, match="no run wrote it as it is now"):
        open_file(place, "--out")
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize(
    "name", ["photo.png", "scene/x.toml", ".", "a\0", "y" * 300, "photo.png/x"]
)
def test_a_single_file_never_takes_the_place_of_another(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_text("pixels")
    (tmp_path / "scene").mkdir()
    with pytest.raises(ConfigError, match="--out"):
        open_file(name, "--out", scenes=["scene"])
    assert contents(tmp_path) == {"photo.png": b"pixels"}


def test_a_single_file_with_the_longest_name_can_be_written(tmp_path):
    place = open_file(tmp_path / ("z" * 255), "--out")
    write_file(place, "a = 1\n")
    assert place.exists()


@pytest.mark.parametrize(
    ("named", "out"),
    [
        ("sparse/0", "images/new"),
        ("sparse", "results"),
        ("sparse/0/images.txt", "images"),
        ("sparse/0/cameras.txt", "."),
        ("room.json", "results"),
        ("cameras/test/room.txt", "frames/test/room/new"),
        ("cameras/test/room.txt", "frames"),
    ],
)
def test_photos_beside_the_file_or_folder_that_is_named_belong_to_the_scene(tmp_path, named, out):
    for folder in ("sparse/0", "images", "cameras/test", "frames/test/room"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("sparse/0/cameras.txt", "sparse/0/images.txt", "room.json"):
        (tmp_path / file).write_text("")
    (tmp_path / "cameras/test/room.txt").write_text("")
    with (
        pytest.raises(ConfigError, match="overlaps the scene"),
        OutputFolder(tmp_path / out, scenes=[tmp_path / named]),
    ):
        pass
    assert not (tmp_path / "results").exists()
