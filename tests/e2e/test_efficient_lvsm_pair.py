"""The shipped pipeline efficient-lvsm-seva through the real command line, without weights."""

import json

import pytest
from goldens import capture_folder, captures

from sphinx_framework.cli.main import main

ROOM = captures() / "re10k_room"
SETTINGS = (
    "size=[64, 64]", "regression.weights=random", "regression.short_side=32",
    "regression.network={d=32, d_head=16, n_layer=2}",
    "diffusion.weights=random", "diffusion.vae=random-tiny", "diffusion.clip=random-tiny",
    "diffusion.model_channels=32", "diffusion.channel_mult=[1, 1, 1, 1]",
    "diffusion.num_res_blocks=1", "diffusion.num_head_channels=16", "diffusion.context_dim=16",
    "quality.weights=random", "num_steps=6", "plan.refresh_every=2", "plan.full_tail=1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _the_capture_is_here() -> None:
    capture_folder("re10k_room")


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_a_request_runs_from_end_to_end_with_placeholder_rules(mode, tmp_path, capsys) -> None:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    code = main(
        ["render", "--config", "efficient-lvsm-seva", "--scene", str(ROOM), "--targets",
         "indices:3,5,8", "--mode", mode, "--out", str(tmp_path / "out"), *settings,
         "--json", "--device", "cpu"]
    )  # fmt: skip
    printed = capsys.readouterr()
    assert code == 0, printed.err
    report = json.loads(printed.out)["report"]
    assert len(report["frames"]) == 3
    assert any("placeholder" in warning for warning in report["warnings"])
    assert any("32x32" in warning for warning in report["warnings"])
    own = next(entry for entry in report["licences"] if entry["component"] == "efficient-lvsm")
    assert own["weights_licence"] == "CC-BY-NC-SA-4.0"
    assert own["non_commercial"]
    assert (tmp_path / "out" / "frames" / "002.png").stat().st_size > 0
    assert not (tmp_path / "out" / "scene.ply").exists()


def test_without_weights_the_pipeline_says_that_none_were_released(tmp_path, capsys) -> None:
    code = main(
        ["render", "--config", "efficient-lvsm-seva", "--scene", str(ROOM), "--targets",
         "indices:3", "--out", str(tmp_path / "out"), "--device", "cpu"]
    )  # fmt: skip
    told = capsys.readouterr().err
    assert code == 2
    assert "no released checkpoint" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_permissive_licence_policy_refuses_it(tmp_path, capsys) -> None:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    code = main(
        ["render", "--config", "efficient-lvsm-seva", "--scene", str(ROOM), "--targets",
         "indices:3", "--out", str(tmp_path / "out"), "--licence-policy", "permissive",
         "--device", "cpu", *settings]
    )  # fmt: skip
    assert code == 2
    assert "'efficient-lvsm'" in capsys.readouterr().err
