"""Splitting targets into passes of a fixed number of frames.

A chunk lists its members in order: conditioning frames (inputs, anchors, or targets that an earlier
chunk has finished) and targets to make.
"""

import math
from collections import Counter
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sphinx_framework.errors import ConfigError

FINISHED_SHARE = 0.33
MANY_INPUTS = 9
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Member:
    """A conditioning frame, or a target to make.

    index: of the target; for conditioning frames of the frame given, where numbers beyond the
    frames given mean finished targets, in order.
    """

    given: bool
    index: int


Chunk = tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What is to be chunked.

    given, targets: camera-to-world matrices of the conditioning frames and of the targets.
    originals: conditioning frames that are real inputs. given_order, target_order: positions along
    the capture (``interp`` strategies only); a frame given that has none bounds no chunk.
    """

    given: Float[Tensor, "M 4 4"]
    targets: Float[Tensor, "N 4 4"]
    originals: tuple[int, ...]
    given_order: tuple[float | None, ...] | None = None
    target_order: tuple[float, ...] | None = None


def chunked(
    strategy: str, window: int, frames: Frames, *, whole: bool = False
) -> tuple[Chunk, ...]:
    """Split the targets into chunks of at most ``window`` members that make every target once.

    SEVA's own pipeline lets ``interp-gt`` exceed the window: it splits an interval at
    ``window - 2`` targets, without room for the inputs, because its anchors lie close enough. A
    frame that is both an input and a bound has two places there.

    Args:
        strategy: ``gt`` (all inputs and the next targets), ``gt-nearest`` and ``gt-ltr`` (besides,
            finished targets: those most often nearest to the coming ones and the last one, or the
            last ones),
            ``nearest`` (targets with their nearest conditioning frames), ``nearest-gt`` (besides,
            all inputs), ``nearest-N`` (the N most often nearest ones), ``interp`` (targets between
            two conditioning frames that follow each other), ``interp-gt`` (besides, all inputs).
        window: frames of a pass.
        frames: what is to be chunked.
        whole: count the inputs of ``interp-gt`` too, so that no chunk exceeds the window.

    Raises:
        ConfigError: the conditioning frames alone fill the window, or an order is missing.
    """
    if strategy.startswith("gt"):
        return _after_inputs(strategy, window, frames)
    if strategy.startswith("nearest"):
        count = strategy.removeprefix("nearest-")
        if count.isdigit():
            return _most_often_nearest(int(count), window, frames)
        return _with_nearest(window, frames, frames.originals if strategy.endswith("gt") else ())
    always = frames.originals if strategy.endswith("gt") else ()
    return _between(window, frames, always, whole)


def anchor_count(
    strategy: str,
    num_inputs: int,
    num_targets: int,
    window: int,
    *,
    ratio: float = 1.0,
) -> tuple[int, int]:
    """Anchors that the first of two passes makes, and the frames of that pass.

    The second pass runs ``strategy`` between the anchors in windows of ``window`` frames. The first
    pass makes at least as many anchors as fit its window; it grows for nine inputs or more.
    """
    between = window - 2 - (num_inputs if strategy.endswith("-gt") else 0)
    if between < 1:
        raise _too_many_inputs(num_inputs, window, strategy)
    anchors = max(math.ceil(num_targets / between * ratio) + 1, window - num_inputs)
    grown = num_inputs + anchors if num_inputs >= MANY_INPUTS else window
    return anchors, max(window, grown)


def _after_inputs(strategy: str, window: int, frames: Frames) -> tuple[Chunk, ...]:
    inputs = tuple(Member(True, index) for index in frames.originals)
    free = window - len(inputs)
    if free < 1:
        raise _too_many_inputs(len(inputs), window, strategy)
    chunks: list[Chunk] = []
    done, total = 0, len(frames.targets)
    while done < total:
        left = total - done
        finished: list[int] = []
        if done and strategy != "gt":
            reused = _reused(free, left)
            if strategy == "gt-ltr":
                finished = list(range(max(0, done - reused), done))
            elif reused:
                finished = _near_finished(frames.targets, done, free, reused)
        count = min(free - len(finished), left)
        again = tuple(Member(True, len(frames.given) + index) for index in finished)
        made = tuple(Member(False, index) for index in range(done, done + count))
        chunks.append(inputs + again + made)
        done += count
    return tuple(chunks)


def _reused(free: int, left: int) -> int:
    """Finished targets that a chunk may take again: a third, or all the room that is left over.

    At least one slot stays free for a new target.
    """
    if left >= math.floor(free * FINISHED_SHARE):
        return min(math.ceil(free * FINISHED_SHARE), free - 1)
    return free - left


def _near_finished(poses: Float[Tensor, "N 4 4"], done: int, free: int, reused: int) -> list[int]:
    """The last finished target, and those that are most often nearest to the coming ones.

    Each coming target names the finished one of the smallest rotation angle to it and the one at
    the smallest distance. Fewer frames taken again mean more targets to come in the chunk, and
    these may name more frames: hence the loop.
    """
    last = done - 1
    named = _nearest_by_rotation_and_place(poses[done:], poses[:done])
    length = reused
    while True:
        votes = Counter(near for row in named[: free - length] for near in row if near != last)
        chosen = [*sorted(near for near, _ in votes.most_common(reused - 1)), last]
        if len(chosen) >= length:
            return chosen
        length = len(chosen)


def _nearest_by_rotation_and_place(
    coming: Float[Tensor, "U 4 4"], finished: Float[Tensor, "D 4 4"]
) -> list[list[int]]:
    """Per coming target: the finished one of smallest rotation angle, and the closest one."""
    coming, finished = coming.double(), finished.double()
    # The trace of the relative rotation falls as its angle grows; beyond 3 there is only rounding.
    traces = torch.einsum("uij,fij->uf", coming[:, :3, :3], finished[:, :3, :3]).clamp(max=3)
    distances = (coming[:, None, :3, 3] - finished[None, :, :3, 3]).norm(dim=-1)
    return torch.stack((_first_least(-traces), _first_least(distances)), dim=1).tolist()


def _first_least(values: Float[Tensor, "U D"]) -> Int64[Tensor, " U"]:
    """Where each row is least; of equal ones the first, whatever rounding made of them."""
    least = values.amin(dim=1, keepdim=True)
    return (values <= least + ROUNDING).int().argmax(dim=1)


def _distances(frames: Frames) -> Float[Tensor, "N M"]:
    difference = frames.targets[:, None, :3, 3] - frames.given[None, :, :3, 3]
    return difference.double().norm(dim=-1)


def _with_nearest(window: int, frames: Frames, always: tuple[int, ...]) -> tuple[Chunk, ...]:
    """Targets in order, each preceded by its nearest conditioning frame where that is new."""
    if len(always) + 2 > window:
        raise _too_many_inputs(len(always), window, "nearest")
    nearest = _distances(frames).argmin(dim=1).tolist()
    start = [Member(True, index) for index in always]
    chunks: list[Chunk] = []
    chunk = list(start)
    for target, near in enumerate(nearest):
        needed = [Member(False, target)]
        if Member(True, near) not in chunk:
            needed.insert(0, Member(True, near))
        if len(chunk) + len(needed) > window:
            chunks.append(tuple(chunk))
            chunk = list(start)
            needed = [Member(False, target)]
            if Member(True, near) not in chunk:
                needed.insert(0, Member(True, near))
        chunk += needed
    return (*chunks, tuple(chunk))


def _most_often_nearest(count: int, window: int, frames: Frames) -> tuple[Chunk, ...]:
    """Groups of targets with the conditioning frames that are nearest to most of the group."""
    size = window - count
    count = min(count, len(frames.given))
    if size < 1:
        raise _too_many_inputs(window - size, window, f"nearest-{window - size}")
    nearest = _distances(frames).argsort(dim=1, stable=True)[:, :count].tolist()
    chunks: list[Chunk] = []
    for first in range(0, len(nearest), size):
        group = range(first, min(first + size, len(nearest)))
        votes = Counter(near for target in group for near in nearest[target])
        chosen = sorted(near for near, _ in votes.most_common(count))
        chunks.append((*(Member(True, i) for i in chosen), *(Member(False, i) for i in group)))
    return tuple(chunks)


def _between(
    window: int, frames: Frames, always: tuple[int, ...], whole: bool
) -> tuple[Chunk, ...]:
    """Targets between conditioning frames that follow each other along the capture.

    As many neighbouring intervals as fit share a chunk; a long one is split.
    """
    if frames.given_order is None or frames.target_order is None:
        raise ConfigError(
            "chunking 'interp' needs to know the order of the cameras along the capture.",
            hint="Choose another chunking, such as nearest-gt, or give the scene an order.",
        )
    size = window - 2 - (len(always) if whole else 0)
    if size < 1:
        raise _too_many_inputs(len(always), window, "interp")
    order = frames.target_order
    along = sorted((at, index) for index, at in enumerate(frames.given_order) if at is not None)
    targets = sorted(range(len(order)), key=order.__getitem__)
    start = tuple(Member(True, index) for index in always)
    chunks: list[Chunk] = []
    for place in range(-1, len(along)):
        before, after = along[max(0, place) : place + 1], along[place + 1 : place + 2]
        inside = [
            target
            for target in targets
            if not (before and order[target] < before[0][0])
            and not (after and order[target] >= after[0][0])
        ]
        for first in range(0, len(inside), size):
            piece = (
                *(Member(True, index) for _, index in before),
                *(Member(False, index) for index in inside[first : first + size]),
                *(Member(True, index) for _, index in after),
            )
            # A chunk that ends where this piece begins holds the frame between them once.
            joined = bool(chunks) and chunks[-1][-1] == piece[0]
            added = piece[1:] if joined else piece
            if chunks and len(chunks[-1]) + len(added) <= window:
                chunks[-1] += added
            else:
                chunks.append(start + piece)
    return tuple(chunks)


def _too_many_inputs(count: int, window: int, strategy: str) -> ConfigError:
    return ConfigError(
        f"{count} conditioning frames leave no room for targets in passes of {window} frames "
        f"(chunking {strategy!r}).",
        hint="Raise diffusion.clip_frames, use fewer inputs, or choose chunking 'nearest'.",
    )
