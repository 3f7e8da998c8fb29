"""Pairs of frames of a posed capture: which scenes they are, and what is refused by name."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.scenes.frame_pairs import captured, parse_pairs
from sphinx_framework.scenes.load import load_scene

SIZE = (24, 32)


def change(folder: Path, **more: object) -> None:
    path = folder / "transforms.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


def test_both_frames_are_inputs_and_all_between_are_targets_with_their_photos(clean: Path) -> None:
    every = ",".join(map(str, range(12)))
    whole = fit_scene(load_scene(clean, targets=f"indices:{every}"), SIZE)
    assert whole.target_images is not None
    first, second = captured(f"{clean}:0-2,5-9", SIZE)
    assert (first.name, second.name) == ("clean 0-2", "clean 5-9")
    assert first.order == (0, 2, 1)
    assert second.order == (5, 9, 6, 7, 8)
    for scene, inputs, targets in ((first, [0, 2], [1]), (second, [5, 9], [6, 7, 8])):
        assert scene.target_images is not None
        assert torch.equal(scene.images, whole.target_images[inputs])
        assert torch.equal(scene.target_images, whole.target_images[targets])
        for cameras, rows in ((scene.inputs, inputs), (scene.targets, targets)):
            assert torch.equal(cameras.intrinsics, whole.targets.intrinsics[rows])
            assert torch.equal(cameras.world_from_camera, whole.targets.world_from_camera[rows])


def test_more_inputs_than_two_leave_all_others_between_them_as_targets(clean: Path) -> None:
    (scene,) = captured(f"{clean}:2-5-9", SIZE)
    assert scene.name == "clean 2-5-9"
    assert scene.order == (2, 5, 9, 3, 4, 6, 7, 8)
    (few,) = captured(f"{clean}:2-5-9", SIZE, most_targets=2)
    assert few.order == (2, 5, 9, 3, 8)


def test_a_folder_alone_is_its_middle_third(clean: Path) -> None:
    assert [scene.name for scene in captured(str(clean), SIZE)] == ["clean 4-8"]


@pytest.mark.parametrize(
    ("most", "kept"), [(1, [1]), (2, [1, 10]), (3, [1, 6, 10]), (10, list(range(1, 11)))]
)
def test_few_targets_are_spread_over_the_pair(clean: Path, most: int, kept: list[int]) -> None:
    (scene,) = captured(f"{clean}:0-11", SIZE, most_targets=most)
    assert scene.order == (0, 11, *kept)


def test_the_depth_range_of_the_capture_is_kept(clean: Path) -> None:
    change(clean, near=0.5, far=20.0)
    (scene,) = captured(f"{clean}:3-5", SIZE)
    assert (scene.near, scene.far) == (0.5, 20.0)


@settings(deadline=None)
@given(
    pairs=st.lists(st.lists(st.integers(0, 10**8), min_size=2, max_size=5).map(tuple), max_size=4)
)
def test_what_is_written_is_read(pairs: list[tuple[int, ...]]) -> None:
    text = ",".join("-".join(map(str, pair)) for pair in pairs)
    assert parse_pairs(f"a/room:{text}" if pairs else "a/room") == (Path("a/room"), tuple(pairs))


def test_a_folder_may_have_a_colon_in_its_name() -> None:
    assert parse_pairs("run:3/room") == (Path("run:3/room"), ())
    assert parse_pairs("run:3/room:0-2") == (Path("run:3/room"), ((0, 2),))


@pytest.mark.parametrize(
    "pairs", ["4", "4-", "-4-6", "a-b", "4-6,", "4-6;7-9", "4--6", "1_0-20", "٣-٤", "-"]
)
def test_malformed_pairs_are_refused_with_the_folder_and_the_form(pairs: str) -> None:
    with pytest.raises(SceneError, match=r"a/room: .*no pair.*FOLDER:FIRST-LAST"):
        parse_pairs(f"a/room:{pairs}")


@pytest.mark.parametrize(("text", "what"), [("a/room:", "no pairs"), (":4-10", "names no folder")])
def test_half_an_argument_is_refused(text: str, what: str) -> None:
    with pytest.raises(SceneError, match=f"{what}.*FOLDER:FIRST-LAST"):
        parse_pairs(text)


@pytest.mark.parametrize(
    ("pairs", "what"),
    [
        ("4-12", "pair 4-12 is not within the capture. Its frames are 0 to 11"),
        ("0-2,90-99", "pair 90-99 is not within the capture. Its frames are 0 to 11"),
        ("6-4", "pair 6-4 does not go forward. Write the lower number first"),
        ("6-6", "pair 6-6 does not go forward"),
        ("2-9-5", "inputs 2-9-5 does not go forward"),
        ("6-7-8", "inputs 6-7-8 has no frame between it"),
        ("6-7", "pair 6-7 has no frame between it. Name two that are further apart"),
    ],
)
def test_a_pair_that_cannot_be_used_is_refused_before_a_photo_is_read(
    clean: Path, pairs: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sphinx_framework.scenes.frame_pairs.build_scene", None)
    with pytest.raises(SceneError) as caught:
        captured(f"{clean}:{pairs}", SIZE)
    assert f"{clean}: the {what}" in str(caught.value)


def test_a_capture_too_short_for_a_middle_third_asks_for_pairs_further_apart(clean: Path) -> None:
    content = json.loads((clean / "transforms.json").read_text())
    change(clean, frames=content["frames"][:5])
    with pytest.raises(SceneError, match=r"clean: the pair 1-2 has no frame between it"):
        captured(str(clean), SIZE)


@pytest.mark.parametrize("gone", [4, 5, 6])
def test_a_photo_that_is_not_there_is_named(clean: Path, gone: int) -> None:
    content = json.loads((clean / "transforms.json").read_text())
    (clean / content["frames"][gone]["file_path"]).unlink()
    with pytest.raises(SceneError, match=rf"clean: the pair 4-6 needs the photo of frame {gone}"):
        captured(f"{clean}:4-6", SIZE)
    assert len(captured(f"{clean}:0-2", SIZE)) == 1  # another pair may be used


def test_a_folder_without_poses_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=rf"{tmp_path}: holds no transforms.json.*import"):
        captured(f"{tmp_path}:4-10", SIZE)
    with pytest.raises(SceneError, match=r"nowhere: no such folder. Write FOLDER"):
        captured(f"{tmp_path / 'nowhere'}:4-10", SIZE)
