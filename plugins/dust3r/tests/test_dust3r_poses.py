import pytest
import torch
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework_dust3r.config import AlignmentConfig, DUSt3RConfig
from sphinx_framework_dust3r.poses import DUSt3RPoseEstimator, estimate_poses

CPU = torch.device("cpu")


def photos(count: int, height: int = 90, width: int = 120) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def short(config: DUSt3RConfig) -> DUSt3RConfig:
    return config.model_copy(update={"alignment": AlignmentConfig(iterations=3)})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_random_networks_give_usable_cameras_for_any_number_of_photos(
    tiny_config: DUSt3RConfig, count: int
) -> None:
    estimate = estimate_poses(photos(count), config=short(tiny_config))
    estimate.cameras.validate("photo")
    assert len(estimate.cameras) == count
    assert estimate.cameras.image_size == (90, 120)
    assert estimate.points.shape == (count, 48, 64, 3)
    assert estimate.confidence.shape == (count, 48, 64)
    assert estimate.colours.shape == (count, 3, 48, 64)
    assert torch.isfinite(estimate.points).all()


def test_the_first_photo_is_the_world(tiny_config: DUSt3RConfig) -> None:
    cameras = DUSt3RPoseEstimator(short(tiny_config), CPU).estimate(photos(3))
    torch.testing.assert_close(cameras.world_from_camera[0], torch.eye(4), rtol=0, atol=1e-5)


def test_principal_points_are_the_middle_of_the_photos(tiny_config: DUSt3RConfig) -> None:
    cameras = DUSt3RPoseEstimator(tiny_config, CPU).estimate(photos(2))
    torch.testing.assert_close(
        cameras.intrinsics[:, :2, 2], torch.tensor([[60.0, 45.0]]).expand(2, 2), rtol=0, atol=1e-3
    )


def test_given_intrinsics_are_kept(tiny_config: DUSt3RConfig) -> None:
    intrinsics = torch.tensor([[100.0, 0, 58], [0, 102, 47], [0, 0, 1]]).expand(2, 3, 3)
    cameras = DUSt3RPoseEstimator(tiny_config, CPU).estimate(photos(2), intrinsics)
    torch.testing.assert_close(cameras.intrinsics, intrinsics)


def test_the_same_photos_give_the_same_cameras(tiny_config: DUSt3RConfig) -> None:
    first = estimate_poses(photos(2), config=tiny_config).cameras
    second = estimate_poses(photos(2), config=tiny_config).cameras
    assert torch.equal(first.world_from_camera, second.world_from_camera)
    assert torch.equal(first.intrinsics, second.intrinsics)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (torch.zeros(0, 3, 64, 64), "N at least 1"),
        (torch.zeros(2, 4, 64, 64), "N at least 1"),
        (torch.full((2, 3, 64, 64), torch.nan), "NaN"),
        (torch.zeros(2, 3, 4, 900), "nothing to see"),
    ],
)
def test_unusable_photos_are_refused(
    tiny_config: DUSt3RConfig, images: Tensor, complaint: str
) -> None:
    with pytest.raises(SceneError, match=complaint):
        DUSt3RPoseEstimator(tiny_config, CPU).estimate(images)


def test_square_photos_that_cannot_be_cut_to_patches_say_what_to_set(
    tiny_config: DUSt3RConfig,
) -> None:
    config = tiny_config.model_copy(update={"image_size": 96})
    with pytest.raises(SceneError) as caught:
        DUSt3RPoseEstimator(config, CPU).estimate(photos(2, 96, 96))
    assert "multiple of 64" in caught.value.hint
    kept = config.model_copy(update={"square_ok": True})
    assert len(DUSt3RPoseEstimator(kept, CPU).estimate(photos(2, 96, 96))) == 2
