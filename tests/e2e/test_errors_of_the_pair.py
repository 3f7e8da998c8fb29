"""What can be wrong with weights and scenes of MVSplat and SEVA: one clear error each, exit code 2.

Through the real command line and the real plugins, with tiny random networks where some are needed.
"""

import json
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, FakeHub
from photo_scenes import transforms, write_photo_scene
from PIL import Image
from safetensors.torch import save_file

from sphinx_framework.cli.main import main

HERE = Path(__file__).parent
SIZE = "size=[64,64]"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_photo_scene(tmp_path / "scene")


@pytest.fixture
def config(tmp_path: Path) -> str:
    """The tiny pair without the embedder, which none of the errors needs."""
    text = (HERE / "seva_mvsplat_tiny.toml").read_text(encoding="utf-8")
    start, end = text.index("[pipeline.embedder]"), text.index("[plan]")
    text = text[:start] + text[end:]
    path = tmp_path / "pair.toml"
    path.write_text(text.replace('centres = "prompts"', "cluster = 0"), encoding="utf-8")
    return str(path)


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str):
    """Run ``render``; the error must be one, clear, and say all of ``told``."""

    def run(scene: Path, *overrides: str, told: tuple[str, ...], config: str = config) -> str:
        settings = [part for override in overrides for part in ("--set", override)]
        code = main(
            ["render", "--config", config, "--scene", str(scene), "--device", "cpu",
             "--out", str(tmp_path / "out"), *settings]
        )  # fmt: skip
        captured = capsys.readouterr()
        said = " ".join(captured.err.split())
        assert code == 2, said
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert captured.err.count("error:") == 1
        for part in told:
            assert part in said
        return said

    return run


def edited(scene: Path, change) -> Path:
    content = transforms()
    change(content)
    (scene / "transforms.json").write_text(json.dumps(content))
    return scene


def test_missing_official_weights_of_mvsplat(refused, scene, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SPHINX_MVSPLAT_WEIGHTS", str(tmp_path / "weights"))
    refused(
        scene,
        "embedder.weights=random",
        config="seva-mvsplat",
        told=("re10k.ckpt is not in", "drive.google.com", "weights"),
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ("regression.weights=nothing.ckpt",),
        ("diffusion.weights=nothing.safetensors",),
        ("diffusion.clip=nothing/here",),
        ("diffusion.vae=nothing/here",),
        ("quality.weights=nothing.pth",),
        ("pipeline.embedder.use=clip", "embedder.weights=nothing.pt"),
    ],
)
def test_missing_weights_by_path_or_repository(refused, scene, overrides, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(scene, *overrides, told=("nothing",))


def test_a_gated_repository(refused, scene) -> None:
    with FakeHub(refusal=(403, "GatedRepo")) as hub:
        refused(
            scene,
            "diffusion.weights=official",
            f"diffusion.hub_endpoint={hub.address}",
            told=("stable-virtual-camera' is gated", "Accept the licence", "hf auth login"),
        )


def test_a_repository_of_ones_own_is_named_with_its_commit_and_a_damaged_file_is_told(
    refused, scene, tmp_path, monkeypatch
) -> None:
    with FakeHub({"modelv1.1.safetensors": b"cut short"}) as hub:
        hub.stand_in(monkeypatch, tmp_path / "cache")
        refused(
            scene,
            "diffusion.weights=official",
            "diffusion.weights_repo=someone/copy",
            told=("not pinned to a commit", COMMIT, "someone/copy", "cannot be read"),
        )


@pytest.mark.parametrize(
    ("option", "first_keys"),
    [
        ("regression.weights", "missing (backbone.backbone.conv1.weight, "),
        ("diffusion.weights", "missing (input_blocks.0.0.bias, input_blocks.0.0.weight, "),
        ("quality.weights", "missing (block1."),
    ],
)
def test_a_wrong_checkpoint_lists_its_first_five_keys(
    refused, scene, tmp_path, option, first_keys
) -> None:
    wrong = tmp_path / "wrong.safetensors"
    save_file({f"other.{i}": torch.zeros(1) for i in range(7)}, wrong)
    said = refused(
        scene, f"{option}={wrong}", told=("does not fit the network", first_keys, "7 unexpected")
    )
    listed = said.partition("7 unexpected (")[2].partition(")")[0]
    assert listed == "other.0, other.1, other.2, other.3, other.4, ..."


def test_a_damaged_checkpoint(refused, scene, tmp_path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(b"cut short")
    refused(scene, f"diffusion.weights={cut}", told=("cannot be read", "download it again"))


def test_images_too_small_for_diffusion(refused, scene) -> None:
    refused(scene, "size=[32,32]", told=("multiples of 64", "size=[64,64]"))


def test_images_too_small_for_regression(refused, scene) -> None:
    refused(scene, "size=[8,8]", "mode=regression", told=("cannot encode 8x8", "at least 16"))


def test_a_single_input(refused, scene) -> None:
    split = {"train_ids": [0], "test_ids": [1, 2]}
    (scene / "train_test_split_2.json").write_text(json.dumps(split))
    refused(scene, SIZE, told=("needs at least 2 inputs, got 1", "Add another posed photo"))


def test_inputs_of_different_sizes(refused, scene, config) -> None:
    Image.new("RGB", (20, 16)).save(scene / "images/4.png")
    unsized = Path(config)
    unsized.write_text(unsized.read_text().replace("size = [64, 64]\n", ""))
    refused(scene, told=("the image is 20x16", "but the first input is 40x32", "Give a size"))


def test_an_input_of_another_shape_than_its_camera(refused, scene) -> None:
    Image.new("RGB", (16, 40)).save(scene / "images/4.png")
    refused(scene, SIZE, told=("frames[4]", "the image is 16x40", "stated for 40x32"))


def test_targets_behind_the_scene(refused, scene) -> None:
    def turn(content) -> None:
        for frame in content["frames"][1:-1]:
            for row in frame["transform_matrix"]:
                row[0], row[2] = -row[0], -row[2]

    refused(edited(scene, turn), SIZE, told=("none of the 3 targets sees anything", "behind them"))


@pytest.mark.parametrize("frame", [0, 1])
def test_poses_that_are_no_numbers(refused, scene, frame) -> None:
    def spoil(content) -> None:
        content["frames"][frame]["transform_matrix"][0][3] = float("nan")

    refused(edited(scene, spoil), SIZE, told=("transforms.json", f"frames[{frame}]", "NaN"))
