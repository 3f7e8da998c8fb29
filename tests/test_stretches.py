"""How targets are dealt to clips."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sphinx_framework.geometry.stretches import clips_along_the_path, split
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import Slot


@settings(deadline=None, max_examples=40)
@given(targets=st.integers(1, 120), inputs=st.integers(1, 4), longest=st.integers(3, 25))
def test_every_target_is_made_once_and_given_only_afterwards(
    targets: int, inputs: int, longest: int
) -> None:
    scene = fake_scene(targets=targets, inputs=inputs, size=(4, 4))
    made: list[int] = []
    for clip in clips_along_the_path(scene, longest):
        assert len(clip) <= longest
        assert clip.targets
        given_here = [s.index for s in clip.slots if s.given]
        assert set(given_here) <= set(made)
        made.extend(clip.targets.values())
    assert sorted(made) == list(range(targets))


@settings(deadline=None, max_examples=30)
@given(targets=st.integers(1, 120), longest=st.integers(3, 25))
def test_clips_between_two_photos_start_and_end_at_clean_views(targets: int, longest: int) -> None:
    for clip in clips_along_the_path(fake_scene(targets=targets, size=(4, 4)), longest):
        for end in (clip.slots[0], clip.slots[-1]):
            assert end.kind == "input" or end.given


@settings(deadline=None, max_examples=30)
@given(targets=st.integers(1, 60), longest=st.integers(3, 25))
def test_targets_of_a_clip_follow_the_capture(targets: int, longest: int) -> None:
    scene = fake_scene(targets=targets, size=(4, 4))
    assert scene.order is not None
    places = {"input": scene.order[:2], "target": scene.order[2:]}
    for clip in clips_along_the_path(scene, longest):
        along = [places[s.kind][s.index] for s in clip.slots]
        assert along == sorted(along)


def test_two_photos_and_their_targets_in_between_are_one_clip() -> None:
    (clip,) = clips_along_the_path(fake_scene(targets=23, size=(4, 4)), 25)
    assert [s.kind for s in clip.slots] == ["input", *["target"] * 23, "input"]
    assert [s.index for s in clip.slots] == [0, *range(23), 1]
    assert clip.notes == ()


def test_a_single_photo_starts_its_clip_and_leaves_the_end_open() -> None:
    (clip,) = clips_along_the_path(fake_scene(targets=24, inputs=1, size=(4, 4)), 25)
    assert [s.kind for s in clip.slots] == ["input", *["target"] * 24]


def test_a_clip_of_unusual_length_is_noted() -> None:
    (clip,) = clips_along_the_path(fake_scene(targets=5, size=(4, 4)), 25)
    assert "7 frames" in clip.notes[0]


def test_clips_of_two_frames_are_refused():
    stretch = tuple(Slot(kind="target", index=i) for i in range(5))
    with pytest.raises(ValueError, match="at least 3 frames"):
        split(stretch, 2)
