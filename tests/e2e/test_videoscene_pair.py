"""The shipped pipeline mvsplat-videoscene through the real command line, without weights."""

import json

import pytest
from goldens import capture_folder, captures

from sphinx_framework.cli.main import main

ROOM = captures() / "re10k_room"
SETTINGS = (
    "size=[64, 64]", "regression.weights=random",
    "regression.encoder={d_feature=8, num_depth_candidates=6, cnn_dims=[4, 4, 8], "
    "num_transformer_layers=2, ffn_dim_expansion=2, costvolume_unet_feat_dim=8, "
    "depth_unet_feat_dim=4, unet_head_channels=4, sh_degree=1}",
    "diffusion.weights=random", "diffusion.dtype=float32", "diffusion.tiling=false",
    "diffusion.transformer={num_attention_heads=2, attention_head_dim=16, in_channels=8, "
    "out_channels=4, time_embed_dim=24, text_embed_dim=12, num_layers=2, sample_width=8, "
    "sample_height=8, sample_frames=9, max_text_seq_length=5}",
    "diffusion.autoencoder={block_out_channels=[8, 8, 12, 12], latent_channels=4, "
    "layers_per_block=1, norm_num_groups=4, sample_height=64, sample_width=64}",
    "quality.weights=random", "evidence.guard=false",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _the_capture_is_here() -> None:
    capture_folder("re10k_room")


def render(out, capsys, *more: str) -> tuple[int, str, str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    code = main(
        ["render", "--config", "mvsplat-videoscene", "--scene", str(ROOM),
         "--targets", "indices:3,5,8", "--out", str(out), *settings, "--json", "--device", "cpu",
         *more]
    )  # fmt: skip
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_one_leap_refines_every_frame(tmp_path, capsys) -> None:
    code, out, err = render(tmp_path / "out", capsys)
    assert code == 0, err
    report = json.loads(out)["report"]
    assert [(f["start_step"], f["steps_run"]) for f in report["frames"]] == [(45, 1)] * 3
    assert any("repeats of the last photo" in note for note in report["notes"])
    licences = {entry["component"]: entry for entry in report["licences"]}
    assert licences["mvsplat"]["weights_licence"] == "NOASSERTION"
    assert licences["videoscene"]["weights_licence"] == "CogVideoX (free for research)"
    assert licences["videoscene"]["non_commercial"]
    assert (tmp_path / "out" / "frames" / "002.png").stat().st_size > 0


def test_several_steps_run_partial_passes_through_the_latent_cache(tmp_path, capsys) -> None:
    few = ("--set", "plan.max_steps=4", "--set", "plan.refresh_every=4")
    code, out, err = render(tmp_path / "out", capsys, *few)
    assert code == 0, err
    report = json.loads(out)["report"]
    assert [f["steps_run"] for f in report["frames"]] == [4, 4, 4]


def test_without_weights_it_says_where_they_are(tmp_path, capsys) -> None:
    code = main(
        ["render", "--config", "mvsplat-videoscene", "--scene", str(ROOM), "--targets",
         "indices:3", "--out", str(tmp_path / "out"), "--device", "cpu", "--set",
         "regression.weights=random", "--set", "quality.weights=random"]
    )  # fmt: skip
    told = capsys.readouterr().err
    assert code == 2
    assert "drive folder" in told
    assert not (tmp_path / "out").exists()
