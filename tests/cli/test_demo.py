"""The demo compares its result with the alternatives, against the scene's own truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sphinx_framework.scenes.load import load_scene


def demo(command, *more):
    return command(
        "demo", "--config", command.config, "--scene", command.scene, "--device", "cpu",
        "--out", command.out, *more,
    )  # fmt: skip


def test_the_demo_measures_four_systems_and_the_result_is_what_it_wrote(command):
    chosen = "indices:2"  # what is compared then is the whole request
    ended = demo(command, "--json", "--targets", chosen)
    assert ended.code == 0, ended.err
    rows = {row["system"]: row for row in json.loads(ended.out)["compared"]}
    assert list(rows) == [
        "regression stage",
        "result",
        "full diffusion, 12 steps",
        "plain diffusion, 2 steps",
    ]
    truth = load_scene(command.scene, targets=chosen).target_images
    frames = [
        np.asarray(Image.open(path)) / 255 for path in sorted(Path(command.out, "frames").iterdir())
    ]
    written = np.stack(frames).transpose(0, 3, 1, 2)
    psnr = -10 * np.log10(((written - truth.numpy()) ** 2).mean())
    assert rows["result"]["psnr"] == pytest.approx(psnr, abs=0.05)
    assert all(row["seconds"] > 0 for row in rows.values())


def test_the_demo_prints_the_table_and_writes_the_side_by_side_video(command):
    ended = demo(command)
    assert ended.code == 0, ended.err
    assert "plain diffusion, 2 steps" in ended.out
    middle = len(load_scene(command.scene).targets) // 2
    assert f"A request for target {middle} alone" in ended.out
    assert Path(command.out, "side_by_side.mp4").stat().st_size > 0
