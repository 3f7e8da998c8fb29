"""LPIPS: measured with package and weights, else not measured and why."""

import sys

import pytest
import torch

from sphinx_framework.perceptual import load_lpips

CPU = torch.device("cpu")
STAND_IN = """
import torch

class LPIPS(torch.nn.Module):
    def __init__(self, net, verbose):
        super().__init__()
        assert net == "alex"
        assert not verbose

    def forward(self, first, second):
        return (first - second).abs().mean((1, 2, 3), keepdim=True)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A stand-in for the package, so that its weights are not needed."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lpips.py").write_text(STAND_IN)
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    yield tmp_path
    sys.modules.pop("lpips", None)


def test_without_weights_nothing_is_downloaded_and_nothing_measured(package):
    loaded = load_lpips(CPU)
    assert loaded.distance is None
    assert loaded.note.startswith("LPIPS: not measured, its AlexNet weights are not here")


def test_with_weights_images_are_compared_in_the_networks_range(package):
    (package / "hub" / "hub" / "checkpoints").mkdir(parents=True)
    (package / "hub" / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    loaded = load_lpips(CPU)
    images = torch.zeros(2, 3, 8, 8)
    truth = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    assert loaded.distance(images, truth).tolist() == [0, 2]
    assert "not measured" not in loaded.note


def test_a_package_that_fails_to_load_is_said(package):
    (package / "lpips.py").write_text("raise RuntimeError('operator does not exist')")
    loaded = load_lpips(CPU)
    assert loaded.distance is None
    assert "operator does not exist" in loaded.note
