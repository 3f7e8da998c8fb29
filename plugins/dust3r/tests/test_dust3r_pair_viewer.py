from collections.abc import Callable

import pytest
import torch
from goldens import Golden, golden, golden_names
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework_dust3r.config import AlignmentConfig
from sphinx_framework_dust3r.geometry.focal import focal_from_points
from sphinx_framework_dust3r.geometry.pinhole import pixel_grid
from sphinx_framework_dust3r.pair_viewer import pair_viewer, single_view
from sphinx_framework_dust3r.pairs import PairPredictions
from sphinx_framework_dust3r.reconstruction import KnownCameras, Reconstruction, half_image

ReadPairs = Callable[[Golden], PairPredictions]
pytestmark = pytest.mark.usefixtures("one_thread")

PREFIX = "dust3r_pairviewer_"
FILES = ("exact_frame0", "exact_frame1", "noisy")


def names() -> list[str]:
    """Every pair-viewer golden there is, or the usual ones, which then skip."""
    found = golden_names(f"{PREFIX}*")
    return found or [PREFIX + name for name in FILES]


@pytest.fixture(scope="module", params=names())
def file(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


@pytest.fixture(scope="module", params=[False, True], ids=["upstream", "refined"])
def solved(file: Golden, read_pairs: ReadPairs, request: pytest.FixtureRequest) -> Reconstruction:
    config = AlignmentConfig(
        pixel_centre=0.0,
        min_confidence=file.info["config"]["min_conf_thr"],
        refine_poses=request.param,
    )
    return pair_viewer(read_pairs(file), config, KnownCameras())


def close(file: Golden, ours: Tensor, name: str) -> None:
    tolerance = {key: file.info["tolerance"][key] for key in ("rtol", "atol")}
    torch.testing.assert_close(ours, file.tensors[f"out/{name}"], **tolerance)


def test_poses_equal_the_golden(file: Golden, solved: Reconstruction) -> None:
    close(file, solved.poses, "im_poses_c2w")


def test_focals_and_principal_points_equal_the_golden(file: Golden, solved: Reconstruction) -> None:
    close(file, solved.focals[:, 0], "focals")
    close(file, solved.principal_points, "principal_points")


def test_depths_points_and_confidences_equal_the_golden(
    file: Golden, solved: Reconstruction
) -> None:
    for image in range(len(solved.poses)):
        close(file, solved.depth[image], f"depth_{image}")
        close(file, solved.points[image], f"pts3d_world_{image}")
        close(file, solved.confidence[image], f"im_conf_{image}")


def test_confidence_masks_equal_the_golden(file: Golden, solved: Reconstruction) -> None:
    threshold = file.info["config"]["min_conf_thr"]
    for image, confidence in enumerate(solved.confidence):
        assert torch.equal(confidence > threshold, file.tensors[f"out/mask_{image}"].bool())


def test_poses_and_focals_are_the_true_ones(file: Golden, solved: Reconstruction) -> None:
    close(file, solved.poses, "truth_im_poses_c2w")
    close(file, solved.focals[:, 0], "truth_focals")


@pytest.mark.parametrize("mode", ["weiszfeld", "median"])
def test_focal_of_every_pair_equals_the_golden(
    file: Golden, read_pairs: ReadPairs, mode: str
) -> None:
    pairs = read_pairs(file)
    centre = half_image(1, pairs.image_size, pairs.first_points)
    centred = pixel_grid(pairs.image_size, 0.0, torch.device("cpu")) - centre
    focals = [focal_from_points(points, centred, mode=mode) for points in pairs.first_points]
    close(file, torch.tensor(focals), f"focal_{mode}_per_edge")


def test_known_focals_and_principal_points_are_kept(file: Golden, read_pairs: ReadPairs) -> None:
    known = KnownCameras(
        focals=torch.tensor([[50.0, 51.0], [52.0, 53.0]]),
        principal_points=torch.tensor([[24.5, 17.5], [23.5, 18.5]]),
    )
    solved = pair_viewer(read_pairs(file), AlignmentConfig(), known)
    assert torch.equal(solved.focals, known.focals)
    assert torch.equal(solved.principal_points, known.principal_points)


def blank(edges: tuple[tuple[int, int], ...]) -> PairPredictions:
    """Pairs whose every pixel has confidence 1 and a point on a plane at depth 2."""
    grid = pixel_grid((16, 16), 0.5, torch.device("cpu")) - 8
    points = torch.cat((grid / 20 * 2, torch.full((16, 16, 1), 2.0)), dim=-1)
    points = points.expand(len(edges), 16, 16, 3)
    confidence = torch.ones(len(edges), 16, 16)
    return PairPredictions(
        edges=edges,
        first_points=points,
        first_confidence=confidence,
        second_points=points,
        second_confidence=confidence,
    )


def test_a_pose_without_confident_pixels_is_reported() -> None:
    solved = pair_viewer(blank(((1, 0), (0, 1))), AlignmentConfig(), KnownCameras())
    assert "could not be found" in solved.warnings[0]
    assert torch.equal(solved.poses, torch.eye(4).expand(2, 4, 4))


def test_another_number_of_photos_is_refused() -> None:
    with pytest.raises(SceneError, match="two-photo"):
        pair_viewer(blank(((1, 0), (0, 1), (2, 0))), AlignmentConfig(), KnownCameras())


def test_a_single_photo_keeps_its_own_pointmap() -> None:
    pairs = blank(((0, 0),))
    solved = single_view(pairs, AlignmentConfig(), KnownCameras())
    torch.testing.assert_close(solved.points, pairs.first_points)
    torch.testing.assert_close(solved.focals, torch.full((1, 2), 20.0))
