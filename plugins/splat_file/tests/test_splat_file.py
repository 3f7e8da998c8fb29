import os
from dataclasses import replace

import pytest
import torch

from sphinx_framework.errors import ConfigError, SceneError
from sphinx_framework.output.spz import write_spz
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.splatting.ply import write_ply
from sphinx_framework.testing.contracts import RegressionContract
from sphinx_framework.testing.scenes import track_scene
from sphinx_framework.types import Gaussians
from sphinx_framework_splat_file.config import SplatFileConfig
from sphinx_framework_splat_file.model import SplatFile

CPU = torch.device("cpu")


def blobs(count=60, seed=0):
    """Coloured balls in front of the cameras of a track."""
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.tensor([-1.5, -1, 2.0]), torch.tensor([1.5, 1, 5.0])
    scales = 0.1 + 0.3 * torch.rand(count, 3, generator=generator)
    return Gaussians(
        means=low + (high - low) * torch.rand(count, 3, generator=generator),
        covariances=torch.diag_embed(scales**2),
        harmonics=(0.5 * torch.randn(count, 3, 4, generator=generator)).clamp(-0.9, 0.9),
        opacities=0.3 + 0.6 * torch.rand(count, generator=generator),
        scales=scales,
        rotations=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
    )


@pytest.fixture
def ply(tmp_path):
    write_ply(tmp_path / "own.ply", blobs())
    return tmp_path / "own.ply"


def model(path):
    return SplatFile(SplatFileConfig(file=str(path)), CPU)


class TestContract(RegressionContract):
    @pytest.fixture(autouse=True)
    def _file(self, ply):
        self.file = ply

    def make(self):
        return model(self.file)


def test_targets_are_drawn_as_the_renderer_draws_them(ply):
    scene = track_scene(3, 2, (32, 48), 0)
    coarse = model(ply).predict(scene)
    view = render_gaussians(blobs(), scene.targets)
    seen = view.opacity > 0.1
    drawn = (coarse.images * coarse.opacity[:, None]).permute(0, 2, 3, 1)[seen]
    expected = view.images.clamp(0, 1).permute(0, 2, 3, 1)[seen]
    assert (drawn - expected).abs().median() < 1e-3
    assert torch.allclose(coarse.opacity, view.opacity.clamp(0, 1), atol=1e-4)


def test_spz_is_the_same_scene_as_ply(ply, tmp_path):
    write_spz(tmp_path / "own.spz", blobs())
    one, other = (model(tmp_path / f"own.{ending}").gaussians for ending in ("ply", "spz"))
    assert torch.allclose(one.means, other.means, atol=1e-3)
    assert torch.allclose(one.covariances, other.covariances, rtol=0.1, atol=1e-3)
    assert torch.allclose(one.opacities, other.opacities, atol=0.01)
    assert torch.allclose(one.harmonics, other.harmonics, atol=0.1)


def test_a_file_of_another_world_is_told(ply):
    scene = track_scene(2, 2, (32, 48), 0)
    (told,) = model(ply).predict(scene).warnings
    assert "does not look like the photos" in told


def test_a_file_that_shows_the_photos_is_not_doubted(ply):
    scene = track_scene(2, 2, (32, 48), 0)
    photos = model(ply).predict(replace(scene, targets=scene.inputs, order=None)).images
    assert model(ply).predict(replace(scene, images=photos)).warnings == ()


def test_no_file_is_a_clear_error():
    with pytest.raises(ConfigError, match="needs a file"):
        SplatFile(SplatFileConfig(), CPU)


@pytest.mark.parametrize("name", ["own.ply", "own.spz", "own.splat"])
@pytest.mark.parametrize("content", [b"", b"ply\n", bytes(range(256)) * 4, b"\x1f\x8b" + bytes(40)])
def test_what_is_no_splat_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SceneError, match=name):
        model(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_spz_is_refused(tmp_path, share):
    write_spz(tmp_path / "own.spz", blobs())
    whole = (tmp_path / "own.spz").read_bytes()
    (tmp_path / "own.spz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SceneError, match=r"own\.spz"):
        model(tmp_path / "own.spz")


def test_missing_files_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.ply")
    for name in ("missing.ply", "pipe.ply"):
        with pytest.raises(SceneError, match=name):
            model(tmp_path / name)
