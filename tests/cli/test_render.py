"""A render from the command line, from a scene folder to the output folder."""

import json

import av
import numpy as np
import pytest
import torch
from PIL import Image

from sphinx_framework.engine.result import Report
from sphinx_framework.policy.schedule import MODES
from sphinx_framework.scenes.load import load_scene


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def rendered(command):
    ended = command.render("--mode", "selective", "--seed", 3)
    assert ended.code == 0, ended.err
    return command


def test_the_output_folder_holds_exactly_the_promised_files(rendered):
    assert files_of(rendered.out) == [
        "coarse/000.png",
        "coarse/001.png",
        "coarse/002.png",
        "contact_sheet.png",
        "frames/000.png",
        "frames/001.png",
        "frames/002.png",
        "manifest.json",
        "report.json",
        "transforms.json",
        "video.mp4",
    ]


def test_the_report_follows_its_schema(rendered):
    report = Report.model_validate(report_of(rendered.out))
    assert report_of(rendered.out)["schema"] == "sphinx-framework/report/1"
    assert (report.mode, report.seed, report.num_steps) == ("selective", 3, 12)
    assert report.quality_target == 0.9
    assert report.config["pipeline"]["mask"]["use"] == "fake"
    assert [entry["distribution"] for entry in report.licences] == [
        "sphinx-framework-fakes 1.2"
    ] * 6
    assert report.seconds.load > 0
    assert report.seconds.write > 0
    assert report.seconds.total >= report.seconds.load + report.seconds.write


def test_images_have_the_size_of_the_scene(rendered):
    for path in rendered.out.glob("*/*.png"):
        assert pixels(path).shape == (32, 40, 3)


def test_the_video_shows_every_frame(rendered):
    with av.open(str(rendered.out / "video.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 3
    assert frames[0].shape == (32, 40, 3)
    still = pixels(rendered.out / "frames" / "000.png").astype(float)
    assert np.abs(frames[0] - still).mean() < 12  # lossy, and colours at half resolution


def test_the_contact_sheet_is_one_picture_of_all_stages(rendered):
    height, width, _ = pixels(rendered.out / "contact_sheet.png").shape
    assert width > 3 * 100
    assert height > 4 * 100


def test_the_target_cameras_are_written_exactly(rendered):
    scene = load_scene(rendered.scene)
    written = json.loads((rendered.out / "transforms.json").read_text())
    assert [frame["file_path"] for frame in written["frames"]] == [
        "frames/000.png",
        "frames/001.png",
        "frames/002.png",
    ]
    back = load_scene(rendered.out)  # first and last frame as inputs, one target between
    middle = back.targets.world_from_camera[0]
    assert torch.equal(middle, scene.targets.world_from_camera[1])
    assert torch.equal(back.inputs.intrinsics[0], scene.targets.intrinsics[0])


def test_served_frames_are_the_coarse_files_byte_for_byte(command):
    command.render("--mode", "regression")
    for name in ("000.png", "001.png", "002.png"):
        frame = (command.out / "frames" / name).read_bytes()
        assert frame == (command.out / "coarse" / name).read_bytes()


@pytest.mark.parametrize("mode", MODES)
def test_a_second_run_gives_the_same_bytes(command, mode):
    folders = [command.folder / "first", command.folder / "second"]
    for folder in folders:
        assert command.render("--mode", mode, out=folder).code == 0
    for path in folders[0].glob("*/*.png"):
        again = folders[1] / path.relative_to(folders[0])
        assert path.read_bytes() == again.read_bytes(), path


def test_a_process_of_its_own_gives_the_same_bytes_and_plain_progress_lines(command):
    command.render("--mode", "fine")
    apart = command.apart(
        "render",
        "--config",
        command.config,
        "--scene",
        command.scene,
        "--mode",
        "fine",
        "--device",
        "cpu",
        "--out",
        command.folder / "apart",
    )
    assert apart.code == 0, apart.err
    for path in command.out.glob("frames/*.png"):
        assert path.read_bytes() == (command.folder / "apart/frames" / path.name).read_bytes()
    assert "regression: 3 views ready" in apart.err
    assert "contact_sheet.png" in apart.out


def test_json_prints_one_object_and_nothing_else_on_stdout(command):
    ended = command.render("--mode", "fine", "--json")
    told = json.loads(ended.out)
    assert told["out"] == str(command.out)
    assert told["report"] == report_of(command.out)


def test_the_summary_names_every_target_and_where_to_look(command):
    told = command.render("--mode", "fine").told
    assert "full and" in told
    assert "frame steps of dense diffusion" in told
    assert "contact_sheet.png" in told


def test_options_reach_the_engine(command):
    ended = command.render(
        "--quality",
        0.5,
        "--mode",
        "coarse",
        "--seed",
        9,
        "--targets",
        "interpolate:2",
        "--set",
        "num_steps=6",
        "--set",
        "plan.stride=2",
        "--set",
        "gamma=0.8",
    )
    assert ended.code == 0, ended.err
    report = report_of(command.out)
    assert (report["quality_target"], report["mode"], report["seed"]) == (0.5, "coarse", 9)
    assert report["num_steps"] == 6
    assert report["config"]["plan"]["stride"] == 2
    assert report["config"]["gamma"] == 0.8
    assert len(report["frames"]) == 2


def test_the_scene_is_fitted_to_the_pipelines_size(command):
    assert command.render("--set", "size=[16, 24]").code == 0
    assert pixels(command.out / "frames" / "000.png").shape == (16, 24, 3)


def test_a_run_into_an_old_folder_leaves_no_stale_frames(command):
    command.render("--targets", "interpolate:5")
    assert len(list(command.out.glob("frames/*.png"))) == 5
    command.render("--targets", "interpolate:2")
    assert len(list(command.out.glob("frames/*.png"))) == 2
    assert len(list(command.out.glob("coarse/*.png"))) == 2


def test_a_measured_cost_predicts_the_latency(command):
    cost = command.folder / "cost.toml"
    cost.write_text('[cost]\nfull = 0.5\nmeasured = "a bench"\nnum_frames = 5\n')
    assert command.render("--mode", "diffusion", "--cost", cost).code == 0
    report = report_of(command.out)
    assert report["predicted_denoise_seconds"] == pytest.approx(6.0)
    assert report["cost_model"] == "a bench"


def test_chosen_outputs_are_written_and_the_next_run_without_them_takes_them_away(command):
    assert command.render("--save", "masks,gif,side-by-side", "--fps", 5).code == 0
    assert {"masks/002.png", "video.gif", "side_by_side.mp4"} <= set(files_of(command.out))
    with av.open(str(command.out / "video.mp4")) as video:
        assert video.streams.video[0].average_rate == 5
    assert command.render().code == 0
    assert "masks/002.png" not in files_of(command.out)
    assert not (command.out / "masks").exists()


def test_an_unknown_output_is_refused_before_anything_is_loaded(command):
    ended = command.render("--save", "depht")
    assert ended.code == 2
    assert "'depht'" in ended.err
    assert "did you mean 'depth'" in ended.err.lower()
    assert not command.out.exists()
