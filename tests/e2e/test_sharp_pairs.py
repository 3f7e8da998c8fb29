"""The shipped pipelines of SHARP through the real command line, from one photo, without weights."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from goldens import capture_folder, captures

from sphinx_framework.cli.main import main

HERE = Path(__file__).parent
ROOM = captures() / "re10k_room"
NETWORK = (
    "{use_patch_overlap=false, encoder_dims_tail=[8, 8, 8, 8], hook_ids=[0, 1, 1, 1], "
    "vit={embed_dim=16, depth=2, num_heads=2, img_size=32, num_classes=3}, "
    "monodepth_dims_decoder=[8, 8, 8, 8, 8], alignment={steps=1, base_width=8}, "
    "gaussian_decoder={dim_out=8, norm_num_groups=2, dims_decoder=[8, 8, 8, 8, 8]}}"
)
SHARP = (
    "regression.weights=random", f"regression.network={NETWORK}", "num_steps=6",
    "plan.refresh_every=2", "plan.full_tail=1",
)  # fmt: skip
SEVA = (
    "size=[64, 64]", "quality.weights=random",
    "diffusion.weights=random", "diffusion.vae=random-tiny", "diffusion.clip=random-tiny",
    "diffusion.model_channels=32", "diffusion.channel_mult=[1, 1, 1, 1]",
    "diffusion.num_res_blocks=1", "diffusion.num_head_channels=16", "diffusion.context_dim=16",
)  # fmt: skip


def viewcrafter() -> tuple[str, ...]:
    """The tiny sizes of the DUSt3R pair, as settings."""
    tiny = tomllib.loads((HERE / "viewcrafter_dust3r_tiny.toml").read_text(encoding="utf-8"))
    roles = tiny["pipeline"]

    def inline(value) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}={inline(v)}" for k, v in value.items()) + "}"
        return json.dumps(value)

    told = [
        f"{role}.{key}={inline(value)}"
        for role in ("diffusion", "poses")
        for key, value in roles[role].items()
        if key != "use"
    ]
    return ("size=[64, 96]", "quality.weights=random", "diffusion.dtype=float32", *told)


@pytest.fixture
def photo(tmp_path) -> Path:
    capture_folder("re10k_room")
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(ROOM / "images" / "004.jpg", folder / "a.jpg")
    return folder


def run(config, scene, targets, out, *more) -> int:
    return main(
        ["render", "--config", config, "--scene", str(scene), "--targets", targets,
         "--out", str(out), "--json", "--device", "cpu", *more]
    )  # fmt: skip


def flags(settings) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def looked_at(report, out, frames) -> None:
    assert len(report["frames"]) == frames
    assert any("placeholder" in warning for warning in report["warnings"])
    assert any("units_per_metre" in warning for warning in report["warnings"])
    own = next(entry for entry in report["licences"] if entry["component"] == "sharp")
    assert own["weights_licence"] == "LicenseRef-Apple-AMLR"
    assert own["non_commercial"]
    assert (out / "frames" / f"{frames - 1:03d}.png").stat().st_size > 0
    assert (out / "scene.ply").read_bytes().startswith(b"ply\n")


@pytest.mark.parametrize("mode", ["fine", "selective"])
def test_posed_photos_run_through_sharp_and_seva(mode, tmp_path, capsys) -> None:
    capture_folder("re10k_room")
    out = tmp_path / "out"
    code = run("sharp-seva", ROOM, "indices:3,5,8", out, "--mode", mode, *flags(SHARP + SEVA))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    looked_at(json.loads(printed.out)["report"], out, 3)


def test_a_single_photo_runs_through_sharp_and_viewcrafter(photo, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    code = run("sharp-viewcrafter", photo, "orbit:3:10", out, *flags(SHARP + viewcrafter()))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    looked_at(json.loads(printed.out)["report"], out, 3)


@pytest.mark.parametrize("config", ["sharp-seva", "sharp-viewcrafter"])
def test_without_weights_one_sentence_says_where_to_get_them(
    config, tmp_path, capsys, monkeypatch
) -> None:
    capture_folder("re10k_room")
    monkeypatch.setenv("SPHINX_SHARP_WEIGHTS", str(tmp_path))
    code = run(config, ROOM, "indices:3", tmp_path / "out", "--set", "regression.weights=sharp")
    told = capsys.readouterr().err
    assert code == 2
    assert "sharp_2572gikvuh.pt" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_permissive_licence_policy_refuses_it(tmp_path, capsys) -> None:
    capture_folder("re10k_room")
    code = run(
        "sharp-seva", ROOM, "indices:3", tmp_path / "out", "--licence-policy", "permissive",
        *flags(SHARP + SEVA),
    )  # fmt: skip
    assert code == 2
    assert "'sharp'" in capsys.readouterr().err
