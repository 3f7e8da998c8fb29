import numpy as np
import pytest
from built_lines import (
    HEIGHT,
    RIGHT_ANGLED,
    SIDE,
    any_focal,
    drawn,
    segments,
    turn,
    turned_at_random,
)
from goldens import capture_folder
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.scenes.load import load_scene
from sphinx_framework_colmap.evidence import Said, said_by_lines, weighed
from sphinx_framework_colmap.lines import find_lines, lines_between
from sphinx_framework_colmap.manhattan import focal_of_lines


def asked(directions, focal, rotation, random, **more):
    """What the lines of these directions say to a camera with that focal length."""
    ends = segments(directions @ rotation.T, focal, random, **more)
    return focal_of_lines(lines_between(ends, SIDE), SIDE)


@pytest.mark.parametrize("seed", range(6))
def test_lines_at_right_angles_tell_the_focal_length_within_the_width_that_they_state(seed):
    random = np.random.default_rng(seed)
    focal = any_focal(random)
    found = asked(RIGHT_ANGLED, focal, turned_at_random(random), random)
    assert found.believed
    assert abs(np.log(found.focal / focal)) < found.width < 0.1


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


SLANTED = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0, 0.8]])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "directions",
    [
        SLANTED,
        np.concatenate([RIGHT_ANGLED, [[0.8, 0, 0.6], [-0.6, 0, 0.8]]]),
        RIGHT_ANGLED[:2],
        unit(np.random.default_rng(5).normal(size=(3, 3))),
        unit(np.random.default_rng(6).normal(size=(60, 3))),
    ],
    ids=["walls at 53 degrees", "two houses", "one wall", "three slanted", "a wood"],
)
def test_lines_that_are_not_at_right_angles_are_not_believed(directions, seed):
    random = np.random.default_rng(seed)
    focal = any_focal(random)
    assert not asked(directions, focal, turned_at_random(random), random).believed


@pytest.mark.parametrize("seed", range(4))
def test_a_room_seen_straight_on_says_little_and_says_so(seed):
    random = np.random.default_rng(seed)
    found = asked(RIGHT_ANGLED, 400.0, turn(0.5, 0.3, 0), random)
    assert not found.believed or found.width > 0.1


def test_few_lines_say_nothing():
    random = np.random.default_rng(0)
    assert asked(RIGHT_ANGLED, 400.0, turn(30, 5, 0), random, count=30) is None
    assert focal_of_lines(find_lines(np.zeros((HEIGHT, SIDE, 3), np.uint8)), SIDE) is None


def test_lines_of_a_photo_lie_where_they_are_drawn():
    photo = np.zeros((HEIGHT, SIDE, 3), np.uint8)
    photo[:, 400:] = 255
    photo[100:, :] = 255
    lines = find_lines(photo)
    x, y = 400 - SIDE / 2, 100 - HEIGHT / 2
    upright = np.abs(lines.normals[:, 0]) > 0.99
    assert 0 < upright.sum() < len(lines)
    # The line x = 80 passes through (80, 0), and so on; its detector blurs by a tenth of a pixel.
    assert np.allclose(lines.normals[upright] @ [x, 0, 1], 0, atol=0.3)
    assert np.allclose(lines.normals[~upright] @ [0, y, 1], 0, atol=0.3)


@pytest.mark.parametrize("focal", [330.0, 480.0, 800.0])
def test_photos_of_what_is_built_say_their_focal_length(focal):
    photos = np.stack([drawn(focal, turn(25 + 4 * i, 8 - i, 1), i) for i in range(2)])
    said = said_by_lines(photos)
    assert said.error < 0.1
    assert abs(np.log(said.focal / focal)) < said.error


def test_photos_of_nothing_built_say_nothing():
    random = np.random.default_rng(0)
    assert said_by_lines(random.integers(0, 256, (2, 90, 160, 3), np.uint8)) is None
    grey = np.full((2, 90, 160, 3), 128, np.uint8)
    assert said_by_lines(grey) is None


def test_most_photos_must_say_so():
    clear = drawn(480.0, turn(30, 8, 1), 0)
    grey = np.full_like(clear, 128)
    assert said_by_lines(np.stack([clear, clear, grey])) is not None
    assert said_by_lines(np.stack([clear, grey])) is None


@pytest.mark.parametrize(
    ("capture", "frames", "focal"),
    [("re10k_room", "0,20", 308.69), ("dl3dv_140", "0,29", 289.6)],
)
def test_lines_of_real_photos_tell_the_focal_length_to_seven_percent(capture, frames, focal):
    scene = load_scene(capture_folder(capture), targets=f"indices:{frames}")
    photos = (scene.target_images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    said = said_by_lines(photos)
    assert said.error < 0.07
    assert abs(said.focal / focal - 1) < 0.07


focals = st.floats(100, 2000)
errors = st.floats(0.01, 0.5)


@given(focals, errors, focals, errors)
def test_two_kinds_of_evidence_meet_between_or_contradict(one, sure, other, unsure):
    found = weighed(Said(focal=one, error=sure), Said(focal=other, error=unsure))
    if found is None:
        assert abs(np.log(one / other)) > sure + unsure - 1e-9
        return
    assert min(one, other) * (1 - 1e-9) <= found.focal <= max(one, other) * (1 + 1e-9)
    assert found.error < min(sure, unsure)
    # Nearer to the surer one.
    apart = [abs(np.log(found.focal / focal)) for focal in (one, other)]
    assert (apart[0] <= apart[1] + 1e-9) if sure <= unsure else (apart[1] <= apart[0] + 1e-9)
