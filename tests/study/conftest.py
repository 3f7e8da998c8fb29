"""Scenes for studies: fakes by name (``fake:set/0``), and a folder of chunks with an index."""

import io
import json

import numpy as np
import pytest
import torch
from fake_reader import READER
from PIL import Image


@pytest.fixture
def study(command, monkeypatch):
    """The command line of fakes, with ``fake:set/N`` as scenes and few denoising steps."""
    command.plugins.install("readers", READER)
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,readers,klogic")
    command.config.write_text(command.config.read_text().replace("num_steps = 12", "num_steps = 4"))
    return command


HEIGHT, WIDTH, FRAMES = 20, 30, 6


def encoded(value):
    data = io.BytesIO()
    photo = np.full((HEIGHT, WIDTH, 3), value, dtype=np.uint8)
    Image.fromarray(photo).save(data, "PNG")
    return torch.tensor(list(data.getvalue()), dtype=torch.uint8)


def video(key):
    """Cameras move along x; world-to-camera translations are the negative of the centres."""
    cameras = torch.zeros(FRAMES, 18)
    cameras[:, :4] = torch.tensor([0.8, 1.2, 0.5, 0.4])
    for index in range(FRAMES):
        pose = torch.eye(4)[:3]
        pose[0, 3] = -0.25 * index
        cameras[index, 6:] = pose.flatten()
    return {
        "key": key,
        "url": "",
        "timestamps": torch.arange(FRAMES, dtype=torch.int64) * 33333,
        "cameras": cameras,
        "images": [encoded(40 * index) for index in range(FRAMES)],
    }


@pytest.fixture
def chunks(tmp_path):
    folder = tmp_path / "test"
    folder.mkdir()
    torch.save([video("first"), video("second")], folder / "000000.torch")
    torch.save([video("third")], folder / "000001.torch")
    listed = {"first": "000000.torch", "second": "000000.torch", "third": "000001.torch"}
    (folder / "index.json").write_text(json.dumps(listed))
    return folder


@pytest.fixture
def index(tmp_path):
    path = tmp_path / "evaluation_index.json"
    views = {"context": [0, 5], "target": [1, 3]}
    path.write_text(json.dumps({"third": views, "first": views, "second": None, "gone": views}))
    return path
