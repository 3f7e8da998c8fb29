"""The bridge to ffgs, on a tiny model that the tests register with it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sphinx_framework.errors import CapabilityError, WeightsError
from sphinx_framework.testing.contracts import RegressionContract
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework_ffgs.config import FfgsConfig
from sphinx_framework_ffgs.model import FeedForwardGaussians, straight, world_gaussians

CPU = torch.device("cpu")


def model_of(folder: Path, **options: object) -> FeedForwardGaussians:
    return FeedForwardGaussians(FfgsConfig(weights=str(folder), **options), CPU)


class TestFfgs(RegressionContract):
    size = (32, 32)

    @pytest.fixture(autouse=True)
    def _model(self, folder: Path) -> None:
        self.model = model_of(folder)

    def make(self) -> FeedForwardGaussians:
        return self.model


def test_the_inputs_own_viewpoint_shows_the_photo(folder: Path) -> None:
    scene = fake_scene(targets=2, inputs=1, size=(32, 32))
    coarse = model_of(folder).predict(replace(scene, targets=scene.inputs, order=None))
    inside = (coarse.images - scene.images)[:, :, 2:-2, 2:-2]
    assert float(inside.abs().mean()) < 0.02
    assert coarse.depth is not None
    # The model places everything 4 of its units away, and a unit of the scene is 2 of them.
    assert abs(float(coarse.depth[0, 8:-8, 8:-8].median()) - 2.0) < 0.05


def test_loading_leaves_standard_output_to_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model_of(folder)
    assert capsys.readouterr().out == ""


def test_gaussians_are_in_the_scenes_frame_and_handed_on(folder: Path) -> None:
    scene = fake_scene(targets=2, size=(32, 32))
    poses = scene.inputs.world_from_camera.clone()
    poses[:, :3, 3] += torch.tensor([5.0, -3.0, 7.0])
    moved = replace(scene, inputs=replace(scene.inputs, world_from_camera=poses))
    targets = scene.targets.world_from_camera.clone()
    targets[:, :3, 3] += torch.tensor([5.0, -3.0, 7.0])
    moved = replace(moved, targets=replace(scene.targets, world_from_camera=targets))
    first, second = (model_of(folder).predict(s).gaussians for s in (scene, moved))
    assert first is not None
    assert second is not None
    shift = (second.means - first.means).mean(0)
    torch.testing.assert_close(shift, torch.tensor([5.0, -3.0, 7.0]), rtol=0, atol=1e-3)


def test_harmonics_keep_their_order() -> None:
    import ffgs

    colours = torch.randn(1, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    found = ffgs.Gaussians(
        means=torch.zeros(1, 5, 3),
        scales=torch.ones(1, 5, 3),
        quats=torch.tensor([1.0, 0, 0, 0]).expand(1, 5, 4),
        opacities=torch.tensor([[0.5, 0.5, 0.0, 0.5, 1.0]]),
        colors=colours,
        sh_degree=1,
    )
    ours = world_gaussians(found)
    assert ours.harmonics.shape == (4, 3, 4)
    assert torch.equal(ours.harmonics[2], colours[0, 3].mT)
    torch.testing.assert_close(ours.covariances, torch.eye(3).expand(4, 3, 3))


def test_straight_colours_lose_their_opacity_and_holes_are_filled() -> None:
    opacity = torch.tensor([[[1.0, 0.5], [0.0, 0.01]]])
    images = 0.8 * opacity[:, None].expand(-1, 3, -1, -1)
    came = straight(images, opacity, torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(came[0, :, 0], torch.full((3, 2), 0.8))
    torch.testing.assert_close(came[0, :, 1, 0], torch.tensor([0.1, 0.2, 0.3]))


def test_a_scene_that_the_model_refuses_is_refused_in_one_sentence(folder: Path) -> None:
    with pytest.raises(CapabilityError, match="at most 4 views"):
        model_of(folder).predict(fake_scene(targets=2, inputs=5, size=(32, 32)))


def test_targets_that_see_nothing_have_no_opacity(folder: Path) -> None:
    scene = fake_scene(targets=2, size=(32, 32))
    poses = scene.targets.world_from_camera.clone()
    poses[:, :3, :3] = torch.diag(torch.tensor([-1.0, 1.0, -1.0]))
    away = replace(scene, targets=replace(scene.targets, world_from_camera=poses))
    assert model_of(folder).predict(away).opacity.max() < 0.01


@pytest.mark.parametrize("weights", ["nobody/nothing-here", "tokengs/unknown"])
def test_weights_that_cannot_be_had_name_the_zoo(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=weights) as error:
        FeedForwardGaussians(FfgsConfig(weights=weights), CPU)
    assert "tokengs/dl3dv-2v" in str(error.value.hint)
