from dataclasses import replace
from typing import Any

import pytest
import torch
from synthetic_pointmaps import SyntheticPointmaps

from sphinx_framework.testing.contracts import RegressionContract
from sphinx_framework.testing.fakes import fake_cameras, fake_scene
from sphinx_framework.types import Scene
from sphinx_framework_dust3r.config import (
    DUSt3RConfig,
    DUSt3RRegressionConfig,
    KnownPoseAlignmentConfig,
)
from sphinx_framework_dust3r.images import preparation
from sphinx_framework_dust3r.point_cloud import kept_pixels
from sphinx_framework_dust3r.poses import DUSt3RPoseEstimator
from sphinx_framework_dust3r.reconstruction import assemble, half_image
from sphinx_framework_dust3r.regression import DUSt3RRegression, PointViews, in_depth_range

CPU = torch.device("cpu")
SIZE = (48, 64)


@pytest.fixture(scope="session")
def config(tiny_config: DUSt3RConfig) -> DUSt3RRegressionConfig:
    return DUSt3RRegressionConfig(
        weights="random",
        network=tiny_config.network,
        image_size=64,
        radius=0.06,
        alignment=KnownPoseAlignmentConfig(iterations=20),
    )


class TestContract(RegressionContract):
    @pytest.fixture(autouse=True)
    def _configured(self, config: DUSt3RRegressionConfig) -> None:
        self.config = config

    def make(self) -> DUSt3RRegression:
        return DUSt3RRegression(self.config, CPU)


class TestSinglePhotoContract(TestContract):
    inputs = 1


@pytest.fixture(scope="module")
def scene() -> Scene:
    return fake_scene(targets=3, inputs=2, size=SIZE)


@pytest.fixture(scope="module")
def pointmaps(scene: Scene) -> SyntheticPointmaps:
    return SyntheticPointmaps(scene.inputs, preparation(SIZE, 64))


@pytest.fixture(scope="module")
def model(config: DUSt3RRegressionConfig, pointmaps: SyntheticPointmaps) -> DUSt3RRegression:
    return DUSt3RRegression(config, CPU, predict=pointmaps)


@pytest.fixture(scope="module")
def at_inputs(scene: Scene, model: DUSt3RRegression) -> PointViews:
    """The cloud seen from where the photos were taken."""
    return model.predict(replace(scene, targets=scene.inputs))


def test_seen_from_its_own_camera_a_photo_is_itself(
    scene: Scene, config: DUSt3RRegressionConfig
) -> None:
    single = replace(
        scene, images=scene.images[:1], inputs=scene.inputs[:1], targets=scene.inputs[:1]
    )
    # Discs that reach no neighbour: every pixel is its own point, exactly in its middle.
    small = config.model_copy(update={"radius": 0.03})
    pointmaps = SyntheticPointmaps(single.inputs, preparation(SIZE, 64))
    views = DUSt3RRegression(small, CPU, predict=pointmaps).predict(single)
    torch.testing.assert_close(views.opacity, torch.ones_like(views.opacity), rtol=0, atol=1e-3)
    torch.testing.assert_close(views.images, single.images, rtol=0, atol=0.5 / 255 + 1e-4)


def test_two_unposed_photos_become_views_of_their_own_scene(
    scene: Scene, tiny_config: DUSt3RConfig, config: DUSt3RRegressionConfig
) -> None:
    cameras = DUSt3RPoseEstimator(tiny_config, CPU).estimate(scene.images)
    unposed = replace(scene, inputs=cameras, targets=cameras, order=None)
    unposed.validate()
    views = DUSt3RRegression(config, CPU).predict(unposed)
    assert views.images.shape == scene.images.shape
    assert torch.isfinite(views.images).all()


def test_depth_comes_out_in_the_unit_of_the_scene(
    at_inputs: PointViews, pointmaps: SyntheticPointmaps
) -> None:
    seen = at_inputs.opacity > 0.9
    relative = (at_inputs.depth / pointmaps.depth - 1).abs()[seen]
    assert float(relative.median()) < 0.05


def test_opacity_tells_what_no_photo_shows(scene: Scene, model: DUSt3RRegression) -> None:
    aside = fake_cameras(1, SIZE, offset=1.5)
    views = model.predict(replace(scene, targets=aside))
    assert float(views.opacity.min()) == 0
    assert float(views.images.movedim(1, -1)[views.opacity == 0].abs().max()) == 0


def test_confidence_is_that_of_the_points(at_inputs: PointViews) -> None:
    seen = at_inputs.opacity > 0.9
    assert float(at_inputs.confidence[seen].min()) >= 1 - 1e-3
    assert float(at_inputs.confidence[seen].max()) <= 10 + 1e-3


def test_a_target_that_looks_away_is_empty(scene: Scene, model: DUSt3RRegression) -> None:
    away = fake_cameras(1, SIZE)
    away.world_from_camera[0, :3, :3] = torch.diag(torch.tensor([-1.0, 1, -1]))
    views = model.predict(replace(scene, targets=away))
    assert float(views.opacity.max()) == 0


def test_square_photos_keep_the_field_of_view_of_their_targets(
    config: DUSt3RRegressionConfig,
) -> None:
    square = fake_scene(targets=1, inputs=2, size=(64, 64))
    pointmaps = SyntheticPointmaps(square.inputs, preparation((64, 64), 64))
    views = DUSt3RRegression(config, CPU, predict=pointmaps).predict(square)
    assert views.images.shape[-2:] == (64, 64)
    # The network saw 4:3; above and below it there is nothing to draw.
    assert float(views.opacity[0, :4].max()) < 0.5
    assert float(views.opacity[0, 24:40].mean()) > 0.8


def test_a_single_photo_without_depth_range_says_that_its_unit_is_arbitrary(
    config: DUSt3RRegressionConfig,
) -> None:
    scene = replace(fake_scene(targets=1, inputs=1, size=SIZE), near=None, far=None)
    views = DUSt3RRegression(config, CPU).predict(scene)
    assert "arbitrary unit" in views.warnings[-1]


def flat(depth: float, count: int = 3, confidence: float = 2.0) -> Any:
    maps = torch.full((count, *SIZE), depth)
    return assemble(
        torch.eye(4).expand(count, 4, 4),
        torch.full((count, 2), 50.0),
        half_image(count, SIZE, maps),
        maps,
        torch.full_like(maps, confidence),
        0.5,
    )


def test_a_depth_range_sets_the_unit_of_a_single_photo() -> None:
    scaled = in_depth_range(flat(3.0, count=1), 2.0, 8.0)
    assert scaled.warnings == ()
    torch.testing.assert_close(scaled.depth, torch.full((1, *SIZE), 4.0))
    torch.testing.assert_close(scaled.points[..., 2], scaled.depth)


def test_all_points_of_two_photos_are_kept(config: DUSt3RRegressionConfig) -> None:
    assert kept_pixels(flat(3.0, count=2, confidence=1.0), config).all()


def test_unsure_points_of_many_photos_are_kept_in_the_background_only(
    config: DUSt3RRegressionConfig,
) -> None:
    unsure = flat(3.0, confidence=1.0)
    assert kept_pixels(unsure, config).all()
    near = replace(unsure, depth=unsure.depth.clone())
    near.depth[0, :, :8] = 0.1
    kept = kept_pixels(near, config)
    assert not kept[0, :, :8].any()
    assert kept[0, :, 8:].all()
