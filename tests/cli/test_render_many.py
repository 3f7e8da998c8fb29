"""Several scenes at once: each is rendered, skipped or fails alone."""

import io
import json
import shutil

import pytest
from photo_scenes import write_photo_scene
from rich.console import Console

from sphinx_framework.cli.batch import out_folders
from sphinx_framework.cli.progress import many_progress
from sphinx_framework.errors import ConfigError
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine


@pytest.fixture
def three(command):
    """A folder of a good scene, a broken one, another good one, and something else."""
    folder = command.folder / "many"
    for name in ("a", "c"):
        write_photo_scene(folder / name)
    (folder / "b").mkdir()
    (folder / "b" / "transforms.json").write_text("{")
    (folder / "notes").mkdir()
    (folder / "notes" / "todo.txt").write_text("x")
    return folder


def render_many(command, *scenes, out=None, more=()):
    given = ("--config", command.config, "--device", "cpu", "--out", out or command.out)
    return command("render", *given, "--scenes", *scenes, *more)


def test_one_bad_scene_fails_alone_and_the_exit_code_says_so(command, three):
    ended = render_many(command, three)
    assert ended.code == 1
    assert "2 rendered, 1 failed" in ended.told
    assert "transforms.json" in ended.told
    assert "Traceback" not in ended.told
    assert f"{three / 'notes'}: holds no scene, left out" in ended.told
    for name in ("a", "c"):
        assert (command.out / name / "report.json").is_file()
        assert (command.out / name / "frames" / "002.png").is_file()
    assert not (command.out / "b").exists()


def test_finished_scenes_are_skipped_and_repaired_ones_are_rendered(command, three):
    render_many(command, three)
    before = (command.out / "a" / "report.json").read_bytes()
    shutil.rmtree(three / "b")
    write_photo_scene(three / "b")
    ended = render_many(command, three)
    assert ended.code == 0
    assert "1 rendered, 2 skipped" in ended.told
    assert (command.out / "a" / "report.json").read_bytes() == before
    assert (command.out / "b" / "report.json").is_file()


@pytest.mark.parametrize("change", ["seed", "save", "photo", "removed"])
def test_what_was_asked_otherwise_is_rendered_again(command, change):
    folder = command.folder / "many"
    write_photo_scene(folder / "a")
    render_many(command, folder)
    more: tuple[object, ...] = ()
    if change == "seed":
        more = ("--seed", 5)
    elif change == "save":
        more = ("--save", "gif")
    elif change == "photo":
        shutil.copy(folder / "a/images/1.png", folder / "a/images/2.png")
    else:
        (command.out / "a" / "report.json").unlink()
    assert "1 rendered" in render_many(command, folder, more=more).told
    assert "1 skipped" in render_many(command, folder, more=more).told


def test_json_tells_every_outcome_and_nothing_else(command, three):
    ended = render_many(command, three, more=("--json",))
    told = json.loads(ended.out)
    assert told["failed"] == 1
    assert [(one["scene"], one["status"]) for one in told["scenes"]] == [
        (str(three / "a"), "rendered"),
        (str(three / "b"), "failed"),
        (str(three / "c"), "rendered"),
    ]
    assert told["scenes"][0]["targets"] == 3
    assert told["scenes"][0]["psnr"] > 0
    assert "transforms.json" in told["scenes"][1]["error"]


def test_a_frame_is_the_one_that_a_single_render_gives(command, three):
    render_many(command, three / "a", three / "c")
    command.render(out=command.folder / "alone")
    assert (command.out / "a/frames/001.png").read_bytes() == (
        command.folder / "alone/frames/001.png"
    ).read_bytes()


def test_wrong_arguments_are_refused_before_any_scene(command, three):
    for more in (("--mode", "best"), ("--save", "x"), ("--quality", 7)):
        assert render_many(command, three, more=more).code == 2
    assert render_many(command, command.folder / "absent-folder/x").code == 1
    assert not command.out.exists()
    both = render_many(command, three, more=("--scene", three / "a"))
    assert both.code == 2
    assert "not allowed with" in both.err


def test_results_never_go_among_the_scenes(command, three):
    ended = render_many(command, three, out=three / "results")
    assert ended.code == 2
    assert "overlaps the scene" in ended.err
    assert not (three / "results").exists()


def test_a_foreign_file_stops_its_scene_only(command, three):
    (command.out / "a").mkdir(parents=True)
    (command.out / "a" / "mine.txt").write_text("mine")
    ended = render_many(command, three / "a", three / "c")
    assert ended.code == 1
    assert "mine.txt" in ended.told
    assert (command.out / "a" / "mine.txt").read_text() == "mine"
    assert (command.out / "c" / "report.json").is_file()


def test_folders_of_the_same_name_get_folders_of_their_own(tmp_path):
    names = [str(tmp_path / "x/room"), str(tmp_path / "y/Room"), "procedural:report/3"]
    for name in names[:2]:
        (tmp_path / name).mkdir(parents=True)
    folders = out_folders(names, tmp_path / "out")
    assert len({str(folder).lower() for folder in folders.values()}) == 3
    assert folders["procedural:report/3"].name == "procedural_report_3"
    assert all(folder.parent == tmp_path / "out" for folder in folders.values())


@pytest.mark.parametrize("name", ["..", "...", "/", "é" * 200, "a/" * 40 + "b", "x\n y"])
def test_no_name_leaves_the_output_folder(tmp_path, name):
    folder = out_folders([name], tmp_path / "out")[name]
    assert folder.parent == tmp_path / "out"
    assert 0 < len(folder.name.encode()) <= 100


def test_a_scene_named_twice_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="named twice"):
        out_folders(["a", "a"], tmp_path)


def test_a_terminal_gets_one_bar_over_all_scenes():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    with many_progress(2, console) as progress:
        for name in ("first", "second"):
            progress.begin(name)
            result = progress.events(fake_engine().stream(fake_scene()))
            assert len(result.images) == 4
            progress.end("done")
    assert "2/2 scenes" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")
