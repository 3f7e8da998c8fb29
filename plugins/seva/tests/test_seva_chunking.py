"""What holds of chunks whatever the cameras are."""

import math
from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sphinx_framework_seva.chunking import Chunk, Frames, chunked

STRATEGIES = ("gt", "gt-nearest", "gt-ltr", "nearest", "nearest-gt", "nearest-2", "interp")


def cameras(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    twist = torch.randn(count, 3, 3, generator=generator, dtype=torch.float64)
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    poses[:, :3, :3] = torch.linalg.matrix_exp(twist - twist.mT)
    poses[:, :3, 3] = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return poses


def drawn_frames(inputs: int, targets: int, seed: int) -> Frames:
    order = torch.randperm(inputs + targets, generator=torch.Generator().manual_seed(seed))
    places = tuple(order.double().tolist())
    return Frames(
        given=cameras(inputs, seed),
        targets=cameras(targets, seed + 1),
        originals=tuple(range(inputs)),
        given_order=places[:inputs],
        target_order=places[inputs:],
    )


def again(chunk: Chunk, inputs: int) -> list[int]:
    return [m.index - inputs for m in chunk if m.given and m.index >= inputs]


def made(chunk: Chunk) -> list[int]:
    return [m.index for m in chunk if not m.given]


sizes = {
    "inputs": st.integers(1, 4),
    "targets": st.integers(1, 50),
    "window": st.integers(7, 24),
    "seed": st.integers(0, 10_000),
}


@given(strategy=st.sampled_from(STRATEGIES), **sizes)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_every_target_is_made_once_in_chunks_that_fit(
    strategy, inputs, targets, window, seed
) -> None:
    chunks = chunked(strategy, window, drawn_frames(inputs, targets, seed))
    assert Counter(t for chunk in chunks for t in made(chunk)) == Counter(range(targets))
    assert all(len(chunk) <= window for chunk in chunks)


@given(**sizes)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_interp_with_all_inputs_fits_where_it_is_told_to(inputs, targets, window, seed) -> None:
    frames = drawn_frames(inputs, targets, seed)
    chunks = chunked("interp-gt", window, frames, whole=True)
    assert Counter(t for chunk in chunks for t in made(chunk)) == Counter(range(targets))
    assert all(len(chunk) <= window for chunk in chunks)


@given(strategy=st.sampled_from(("gt-nearest", "gt-ltr")), **sizes)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_later_chunks_take_finished_targets_again_and_always_the_last_one(
    strategy, inputs, targets, window, seed
) -> None:
    chunks = chunked(strategy, window, drawn_frames(inputs, targets, seed))
    free, done = window - inputs, 0
    for chunk in chunks:
        taken, new = again(chunk, inputs), made(chunk)
        assert new == list(range(done, done + len(new)))
        assert taken == sorted(set(taken))
        assert all(t < done for t in taken)
        if done:
            assert taken[-1] == done - 1
            third = math.ceil(0.33 * free)
            left = targets - done
            most = third if left >= math.floor(0.33 * free) else free - left
            assert len(taken) <= most
            if strategy == "gt-ltr":
                assert len(taken) == min(most, done)
        else:
            assert not taken
        done += len(new)


@given(**sizes)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_frames_taken_again_are_nearest_to_some_coming_target(
    inputs, targets, window, seed
) -> None:
    frames = drawn_frames(inputs, targets, seed)
    done = 0
    for chunk in chunked("gt-nearest", window, frames):
        if done:
            rotations, centres = frames.targets[:, :3, :3], frames.targets[:, :3, 3]
            relative = rotations[done:, None].mT @ rotations[None, :done]
            trace = relative.diagonal(dim1=-2, dim2=-1).sum(-1)
            far = torch.cdist(centres[done:], centres[:done])
            near = {*trace.argmax(1).tolist(), *far.argmin(1).tolist(), done - 1}
            assert set(again(chunk, inputs)) <= near
        done += len(made(chunk))
