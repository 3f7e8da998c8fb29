"""Chunks that take finished targets again, against the authors' rule written out.

Nothing here is shared with the plugin: plain lists, loops and ``math``.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sphinx_framework_seva.chunking import Frames, chunked

Pose = list[list[float]]


def minus_cosine(a: Pose, b: Pose) -> float:
    """Grows with the angle between two rotations; rounding makes no angle less than none."""
    return -min(1.0, (math.fsum(a[i][j] * b[i][j] for i in range(3) for j in range(3)) - 1) / 2)


def distance(a: Pose, b: Pose) -> float:
    return math.sqrt(math.fsum((a[i][3] - b[i][3]) ** 2 for i in range(3)))


def first_least(values: list[float], rounding: float) -> int:
    return next(i for i, value in enumerate(values) if value <= min(values) + rounding)


def by_the_rule(strategy: str, window: int, inputs: int, poses: list[Pose]) -> list[tuple]:
    """Per chunk: finished targets taken again, and new ones."""
    free, seen, chunks = window - inputs, 0, []
    while seen < len(poses):
        left = len(poses) - seen
        again: list[int] = []
        if seen:
            third = 0.33 * free
            p = math.ceil(third) if left >= math.floor(third) else free - left
            if strategy == "gt-ltr":
                again = [t for t in range(seen) if t >= seen - p]
            else:
                again = most_frequent(poses, seen, free, p)
        new = list(range(seen, seen + min(free - len(again), left)))
        chunks.append((again, new))
        seen += len(new)
    return chunks


def most_frequent(poses: list[Pose], seen: int, free: int, p: int) -> list[int]:
    rows = []
    for target in poses[seen:]:
        turned = [minus_cosine(poses[f], target) for f in range(seen)]
        apart = [distance(poses[f], target) for f in range(seen)]
        rows.append((first_least(turned, 5e-13), first_least(apart, 1e-12)))
    q = p
    while True:
        counts: dict[int, int] = {}
        for row in rows[: free - q]:
            for entry in row:
                if entry != seen - 1:
                    counts[entry] = counts.get(entry, 0) + 1
        ranked = sorted(counts, key=lambda entry: -counts[entry])  # stable: first met first
        found = sorted(ranked[: p - 1])
        found.append(seen - 1)
        if len(found) >= q:
            return found
        q = len(found)


def drawn_poses(count: int, seed: int, kind: str) -> Tensor:
    """kind: anywhere; an orbit around a point; a track without turning, and the same
    rounded to six decimals; a walk there and back."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def turned(twist: Tensor) -> Tensor:
        return torch.linalg.matrix_exp(twist - twist.mT)

    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    if kind == "anywhere":
        poses[:, :3, :3], poses[:, :3, 3] = turned(draw(count, 3, 3)), draw(count, 3)
    elif kind == "orbit":
        poses[:, :3, :3] = turned(torch.arange(count)[:, None, None] * 0.2 * draw(1, 3, 3))
        poses[:, :3, 3] = poses[:, :3, 2]
    elif kind in ("track", "rounded track"):
        poses[:, :3, :3] = turned(draw(3, 3))
        poses[:, 0, 3] = torch.arange(count)
        if kind == "rounded track":
            # Each frame's own last digit: traces of equal rotations lie on both sides of 3.
            poses[:, :3, :3] = (poses[:, :3, :3] + 5e-7 * draw(count, 3, 3)).round(decimals=6)
    else:
        there = torch.arange(count).minimum(torch.arange(count).flip(0))
        poses[:, :3, :3] = turned(there[:, None, None] * 0.1 * draw(1, 3, 3))
        poses[:, :3, 3] = there[:, None] * draw(1, 3)
    return poses


@pytest.mark.parametrize("strategy", ["gt-nearest", "gt-ltr"])
@given(
    inputs=st.integers(1, 9),
    targets=st.integers(1, 50),
    free=st.integers(2, 30),
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["anywhere", "orbit", "track", "rounded track", "there and back"]),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_chunks_are_those_of_the_rule(strategy, inputs, targets, free, seed, kind) -> None:
    poses, window = drawn_poses(targets, seed, kind), inputs + free
    frames = Frames(
        given=drawn_poses(inputs, seed + 1, "anywhere"),
        targets=poses,
        originals=tuple(range(inputs)),
    )
    found = [
        (
            [m.index - inputs for m in chunk if m.given and m.index >= inputs],
            [m.index for m in chunk if not m.given],
        )
        for chunk in chunked(strategy, window, frames)
    ]
    assert found == by_the_rule(strategy, window, inputs, poses.tolist())
