"""The paper's two pairs through the real command line, with tiny random networks."""

import json
import shutil
from pathlib import Path

import pytest
from goldens import capture_folder, captures

from sphinx_framework.cli.main import main

HERE = Path(__file__).parent
ROOM = captures() / "re10k_room"


@pytest.fixture(autouse=True)
def _the_capture_is_here() -> None:
    capture_folder("re10k_room")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    """Run a command with --json and return what it printed."""
    code = main([*arguments, "--json", "--device", "cpu"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)


@pytest.mark.parametrize("mode", ["selective", "fine", "diffusion"])
def test_mvsplat_and_seva_run_without_weights(mode, tmp_path, capsys) -> None:
    result = run(
        capsys, "render", "--config", str(HERE / "seva_mvsplat_tiny.toml"), "--scene", str(ROOM),
        "--targets", "indices:3,5,8", "--mode", mode, "--out", str(tmp_path),
    )  # fmt: skip
    report = result["report"]
    assert report["cluster"] in (0, 1, 2)
    assert len(report["frames"]) == 3
    assert any(licence["non_commercial"] for licence in report["licences"])
    for name in ("frames/002.png", "coarse/000.png", "video.mp4", "contact_sheet.png", "scene.ply"):
        assert (tmp_path / name).stat().st_size > 0


ENCODER = (
    "{d_feature=8, num_depth_candidates=6, cnn_dims=[4, 4, 8], num_transformer_layers=2, "
    "ffn_dim_expansion=2, costvolume_unet_feat_dim=8, depth_unet_feat_dim=4, "
    "unet_head_channels=4, sh_degree=1}"
)
TINY = (
    "size=[64, 64]", "regression.weights=random", f"regression.encoder={ENCODER}",
    "diffusion.weights=random", "diffusion.vae=random-tiny", "diffusion.clip=random-tiny",
    "diffusion.model_channels=32", "diffusion.channel_mult=[1, 1, 1, 1]",
    "diffusion.num_res_blocks=1", "diffusion.num_head_channels=16", "diffusion.context_dim=16",
    "quality.weights=random", "embedder.weights=random", "steps.centres=prompts",
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "quality"), [("seva-mvsplat", "0.95"), ("seva-mvsplat-fast", "0.98")]
)
def test_the_shipped_pipelines_run_without_weights_by_settings_alone(
    config, quality, tmp_path, capsys
) -> None:
    settings = [part for setting in TINY for part in ("--set", setting)]
    result = run(
        capsys, "render", "--config", config, "--scene", str(ROOM), "--quality", quality,
        "--targets", "indices:5,17", "--out", str(tmp_path), *settings,
    )  # fmt: skip
    report = result["report"]
    assert report["num_steps"] == 50
    assert report["quality_target"] == float(quality)
    assert [licence["component"] for licence in report["licences"]][:3] == [
        "mvsplat",
        "seva",
        "musiq",
    ]
    assert any("margin" in note for note in report["notes"])
    assert (tmp_path / "frames" / "001.png").stat().st_size > 0


def test_two_unposed_photos_through_dust3r_and_viewcrafter(tmp_path, capsys) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("004.jpg", "010.jpg"):
        shutil.copy(ROOM / "images" / name, photos / name)
    result = run(
        capsys, "render", "--config", str(HERE / "viewcrafter_dust3r_tiny.toml"),
        "--scene", str(photos), "--targets", "interpolate:4", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    report = result["report"]
    assert len(report["frames"]) == 4
    assert any("placeholder" in warning for warning in report["warnings"])


def test_the_plan_of_the_second_pair_warns_that_its_rules_are_a_placeholder(
    tmp_path, capsys
) -> None:
    plan = run(
        capsys, "plan", "--config", str(HERE / "viewcrafter_dust3r_tiny.toml"),
        "--scene", str(ROOM), "--targets", "interpolate:4", "--set", "regression.image_size=96",
    )  # fmt: skip
    assert any("placeholder" in warning for warning in plan["warnings"])
    assert len(plan["frames"]) == 4


def test_import_gives_photos_cameras_that_render_reads(tmp_path, capsys) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("004.jpg", "010.jpg"):
        shutil.copy(ROOM / "images" / name, photos / name)
    network = "network={encoder_width=32, encoder_depth=2, encoder_heads=2, decoder_width=24, "
    network += "decoder_depth=4, decoder_heads=2, dpt_features=16, dpt_last=8, "
    network += "dpt_channels=[8, 8, 8, 8]}"
    told = run(
        capsys, "import", str(photos), "--poses", "dust3r", "--out", str(tmp_path / "scene"),
        "--set", "weights=random", "--set", network,
    )  # fmt: skip
    assert told["photos"] == 2
    scene = json.loads((tmp_path / "scene" / "transforms.json").read_text())
    assert len(scene["frames"]) == 2


def test_a_single_photo_without_a_camera_is_refused_with_what_to_do(tmp_path, capsys) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(ROOM / "images" / "004.jpg", photos / "a.jpg")
    code = main(["import", str(photos), "--out", str(tmp_path / "scene")])
    assert code == 2
    assert "Add a photo of the same place" in capsys.readouterr().err


def test_a_single_photo_with_a_camera_path_runs_through_the_second_pair(tmp_path, capsys) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(ROOM / "images" / "004.jpg", photos / "a.jpg")
    result = run(
        capsys, "render", "--config", str(HERE / "viewcrafter_dust3r_tiny.toml"),
        "--scene", str(photos), "--targets", "orbit:3:10", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert len(result["report"]["frames"]) == 3
