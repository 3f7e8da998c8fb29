from dataclasses import replace

import numpy as np
import pytest
import torch
from goldens import capture_folder

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.testing.contracts import PoseContract
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import PhotoHints
from sphinx_framework_colmap.config import ColmapConfig
from sphinx_framework_colmap.evidence import Said
from sphinx_framework_colmap.focal import FoundFocal, find_focal
from sphinx_framework_colmap.mapping import Mapped
from sphinx_framework_colmap.matching import match_photos
from sphinx_framework_colmap.pair import map_pair
from sphinx_framework_colmap.poses import ColmapPoseEstimator, focal_doubts

CPU = torch.device("cpu")


def estimator(**options):
    return ColmapPoseEstimator(ColmapConfig(**options), CPU)


def turned(poses, truth):
    """Degrees by which the last camera is turned wrongly, and the cosine of its way."""
    ways = [p[0, :3, :3].T @ (p[-1, :3, 3] - p[0, :3, 3]) for p in (poses, truth)]
    turns = [p[0, :3, :3].T @ p[-1, :3, :3] for p in (poses, truth)]
    trace = (turns[0].T @ turns[1]).trace()
    angle = torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))
    return float(angle), float(torch.nn.functional.cosine_similarity(*ways, dim=0))


@pytest.fixture(scope="module")
def room():
    return PoseContract().photos()


class TestContract(PoseContract):
    def make(self):
        return estimator()


def test_a_stated_focal_length_is_kept_and_not_doubted(room):
    found = estimator(focal=190.0).estimate_poses(room[0][:3])
    assert found.cameras.intrinsics[0, 0, 0] == pytest.approx(190)
    assert found.warnings == ()


def test_a_focal_length_of_exif_that_the_photos_contradict_is_doubted():
    found = FoundFocal(model=fitted(520.0)(520.0))
    (told,) = focal_doubts(found, 0.5, 2000, 1500.0, fixed=False)
    assert "settle on a focal length of 1040 pixels, but their EXIF says 1500" in told
    assert focal_doubts(found, 0.5, 2000, 1000.0, fixed=False) == ()


def test_large_photos_get_cameras_of_their_own_pixels(room):
    small = estimator(max_side=208, focal=190.0).estimate_poses(room[0][:3]).cameras
    large = torch.nn.functional.interpolate(room[0][:3], scale_factor=2, mode="bicubic").clamp(0, 1)
    found = estimator(max_side=208, focal=380.0).estimate_poses(large).cameras
    assert found.image_size == (320, 416)
    assert torch.allclose(found.intrinsics[0, :2], small.intrinsics[0, :2] * 2)
    assert turned(found.world_from_camera, small.world_from_camera)[0] < 1


def test_photos_of_other_things_are_named():
    flat = torch.rand(3, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    hints = PhotoHints(names=("a.jpg", "b.jpg", "c.jpg"))
    with pytest.raises(SceneError, match=r"a\.jpg, b\.jpg, c\.jpg overlap too little") as refusal:
        estimator().estimate_poses(flat, hints=hints)
    assert "add photos in between" in refusal.value.hint


def test_the_photo_that_shows_something_else_is_named(room):
    stray = torch.rand(1, 3, 160, 208, generator=torch.Generator().manual_seed(1))
    hints = PhotoHints(names=("a.jpg", "b.jpg", "c.jpg", "stray.jpg"))
    with pytest.raises(SceneError, match=r"only 3 of 4 photos join: stray\.jpg overlaps"):
        estimator(focal=190.0).estimate_poses(torch.cat([room[0][:3], stray]), hints=hints)


@pytest.mark.parametrize(
    ("photos", "told"),
    [
        (torch.zeros(1, 3, 64, 64), "single photo"),
        (torch.zeros(2, 1, 64, 64), "finite photos"),
        (torch.full((2, 3, 64, 64), torch.nan), "finite photos"),
        (torch.zeros(2, 3, 64, 64), "overlap too little"),
        (torch.rand(2, 3, 14, 20), "20x14 pixels are too small"),
        (torch.rand(2, 3, 56, 4000), r"4000x56 pixels \(1024x14 when .* too small"),
    ],
)
def test_unusable_photos_are_refused(photos, told):
    with pytest.raises(SceneError, match=told):
        estimator().estimate_poses(photos)


def test_two_photos_get_cameras_from_the_essential_matrix_alone(room, tmp_path):
    images, truth = room
    photos = (images[[0, -1]] * 255).byte().permute(0, 2, 3, 1).numpy()
    matched = match_photos(photos, tmp_path, ColmapConfig(), upright=True)
    model = map_pair(matched, 0.9 * 208)
    assert model is not None
    poses = torch.stack([torch.from_numpy(model.poses[i]).float() for i in (0, 1)])
    degrees, cosine = turned(poses, truth[[0, -1]])
    assert degrees < 2
    assert cosine > 0.99


def test_two_equal_photos_are_refused(room):
    with pytest.raises(SceneError, match="taken from one place"):
        estimator().estimate_poses(room[0][[0, 0]])


def turning(degrees, photos):
    """Poses whose views turn by so many degrees from the first to the last."""
    angles = np.linspace(0, np.radians(degrees), photos)
    poses = {index: np.eye(4) for index in range(photos)}
    for index, angle in enumerate(angles):
        poses[index][:3, 2] = np.sin(angle), 0, np.cos(angle)
    return poses


def fitted(best, *, pull=0.7, photos=4, turn=20.0):
    """A mapper of which a bundle adjustment goes a part of the way to the best focal length."""

    def run(focal):
        moved = focal * (best / focal) ** pull
        support = 1000 - abs(focal - best)
        poses = turning(turn, photos)
        return Mapped(focal=focal, refined=moved, support=support, poses=poses, depths=None)

    return run


def test_a_focal_length_found_from_both_sides_is_settled():
    found = find_focal(fitted(520.0), 1000.0, 600.0, None)
    assert found.settled
    assert found.model.focal == pytest.approx(520, rel=0.03)


@pytest.mark.parametrize(
    ("turn", "settled"), [(0.0, False), (4.2, False), (9.0, False), (11, True)]
)
def test_views_that_hardly_turn_settle_no_focal_length(turn, settled):
    found = find_focal(fitted(520.0, turn=turn), 1000.0, 600.0, None)
    assert found.settled == settled
    assert found.model.focal == pytest.approx(520, rel=0.03)
    told = focal_doubts(found, 1.0, 1000, None, fixed=False)
    assert bool(told) != settled
    if not settled:
        low, high = (end / found.model.focal for end in found.between)
        assert low < 0.93 < 1.07 < high
        assert f"since their views turn by {turn:.1f} degrees" in told[0]


def test_a_stated_focal_length_is_kept_where_the_views_hardly_turn():
    found = find_focal(fitted(520.0, turn=3.0), 1000.0, 600.0, 640.0)
    assert found.model.focal == 640
    assert focal_doubts(found, 1.0, 1000, 640.0, fixed=False) == ()
    turned = find_focal(fitted(520.0, turn=30.0), 1000.0, 600.0, 640.0)
    assert turned.model.focal == pytest.approx(520, rel=0.03)


@pytest.mark.parametrize("stated", [None, 800.0])
def test_lines_settle_what_the_motion_of_the_camera_does_not(stated):
    run = fitted(480.0, turn=4.2)
    found = find_focal(run, 1000.0, 600.0, stated, lambda: Said(focal=560.0, error=0.05))
    assert found.settled
    assert 540 < found.model.focal < 560
    told = focal_doubts(found, 1.0, 1000, stated, fixed=False)
    assert bool(told) == (stated is not None)


def test_lines_are_not_asked_where_the_motion_settles_it():
    def asked():
        raise AssertionError

    found = find_focal(fitted(520.0, turn=20.0), 1000.0, 600.0, None, asked)
    assert found.model.focal == pytest.approx(520, rel=0.03)


def test_a_stated_focal_length_with_which_lines_agree_is_kept():
    run = fitted(480.0, turn=4.2)
    found = find_focal(run, 1000.0, 600.0, 545.0, lambda: Said(focal=560.0, error=0.05))
    assert found.settled
    assert found.model.focal == 545


def test_lines_that_contradict_the_motion_settle_nothing_and_are_told():
    run = fitted(520.0, turn=7.0)
    found = find_focal(run, 1000.0, 600.0, None, lambda: Said(focal=900.0, error=0.05))
    assert found.model.focal == pytest.approx(520, rel=0.03)
    assert found.between[1] == 900
    (told,) = focal_doubts(found, 1.0, 1000, None, fixed=False)
    assert "to 900 fit about as well" in told


def test_unsure_lines_narrow_the_range_and_settle_nothing():
    run = fitted(520.0, turn=2.0)
    found = find_focal(run, 1000.0, 600.0, None, lambda: Said(focal=600.0, error=0.15))
    assert not found.settled
    assert 520 < found.model.focal < 600
    low, high = found.between
    assert low / high == pytest.approx(0.86 / 1.14, rel=0.02)


def test_a_focal_length_at_which_fewer_photos_join_is_not_taken_from_lines():
    run = fitted(520.0, turn=3.0)

    def fewer(focal):
        model = run(focal)
        return replace(model, poses=turning(3.0, 3 if focal > 530 else 4))

    found = find_focal(fewer, 1000.0, 530.0, None, lambda: Said(focal=600.0, error=0.05))
    assert len(found.model.poses) == 4
    assert not found.settled


def test_a_focal_length_that_stays_where_it_begins_is_not_settled_and_the_guess_is_taken():
    found = find_focal(fitted(520.0, pull=0.0), 1000.0, 600.0, None)
    assert found.between == (450.0, 750.0)
    assert found.model.focal == 600


def test_the_range_of_views_that_hardly_turn_is_as_wide_as_their_turn_leaves_it():
    found = find_focal(fitted(520.0, pull=0.0, turn=2.0), 1000.0, 600.0, None)
    low, high = found.between
    assert (low, high) == pytest.approx((600 * 0.65, 600 * 1.35))
    told = focal_doubts(found, 1.0, 1000, None, fixed=False)
    assert "since their views turn by 2.0 degrees: 390 to 810" in told[0]


def test_a_guess_outside_of_what_fits_moves_to_its_end():
    assert find_focal(fitted(520.0, pull=0.0), 1000.0, 2000.0, None).model.focal == 750


def test_a_stated_focal_length_is_kept_where_the_photos_do_not_settle():
    run = fitted(520.0, pull=0.05)
    found = find_focal(lambda focal: replace(run(focal), refined=focal * 1.3), 1000.0, 600.0, 700.0)
    assert not found.settled
    assert found.model.focal == 700


def test_no_model_at_any_focal_length_is_none():
    assert find_focal(lambda _: None, 1000.0, 600.0, None) is None


def test_real_photos_of_a_room_get_their_cameras():
    folder = capture_folder("re10k_room")
    scene = load_scene(folder, targets="indices:0,6,12")
    found = estimator().estimate_poses(scene.target_images)
    degrees, cosine = turned(found.cameras.world_from_camera, scene.targets.world_from_camera)
    assert degrees < 1.5
    assert cosine > 0.9962  # 5 degrees
    assert found.near < found.far


def test_two_real_photos_that_settle_nothing_get_their_cameras_with_the_help_of_lines():
    scene = load_scene(capture_folder("dl3dv_140"), targets="indices:0,4")
    found = estimator().estimate_poses(scene.target_images)
    degrees, cosine = turned(found.cameras.world_from_camera, scene.targets.world_from_camera)
    assert degrees < 1.5
    assert cosine > 0.9962  # 5 degrees
    focal = float(found.cameras.intrinsics[0, 0, 0] / scene.targets.intrinsics[0, 0, 0])
    assert abs(focal - 1) < 0.07
    assert found.warnings == ()


def test_the_room_is_repeated_to_the_bit():
    images = torch.cat([room_scene().images])
    first, second = (estimator(focal=187.2).estimate_poses(images).cameras for _ in range(2))
    assert torch.equal(first.world_from_camera, second.world_from_camera)
