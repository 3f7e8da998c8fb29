"""Pairs of frames of a posed capture as scenes: two inputs, and the frames between as targets.

``FOLDER:4-10,8-18`` is a ``transforms.json`` folder (:mod:`.transforms`) with pairs of frame
numbers. Frames count from 0, as those of ``--targets indices:`` do: in the order of the file names,
or of the JSON file where the folder says what its inputs and targets are. Without pairs there is
one, the middle third of the capture. ``FOLDER:0-8-20`` has more inputs than two: frames 0, 8 and
20, and all others between the first and the last as targets.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.scenes.build import build_scene
from sphinx_framework.scenes.capture import Capture
from sphinx_framework.scenes.checks import check_range, checked
from sphinx_framework.scenes.readers import scene_path
from sphinx_framework.scenes.transforms import TRANSFORMS_FILE, read_transforms
from sphinx_framework.types import Scene

FramePair = tuple[int, ...]  # two frames, or more
_PAIR = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})+", re.ASCII)
_FORM = "Write FOLDER:FIRST-LAST,..., as in photos/room:4-10,8-18."


def captured(
    argument: str, size: tuple[int, int], *, most_targets: int | None = None
) -> list[Scene]:
    """The scenes that ``FOLDER:4-10,8-18`` stands for: :func:`parse_pairs`, then :func:`between`.

    Raises:
        SceneError: as these two; ``FOLDER`` alone may also be too short to have a middle third.
    """
    folder, pairs = parse_pairs(argument)
    capture = posed_capture(folder)
    third = len(capture.shots) // 3
    return between(capture, pairs or [(third, 2 * third)], size, most_targets=most_targets)


def parse_pairs(argument: str) -> tuple[Path, tuple[FramePair, ...]]:
    """``FOLDER:4-10,8-18`` to the folder and its pairs; none behind a folder alone.

    Raises:
        SceneError: no folder, or something else than pairs of whole numbers behind the last colon.
    """
    folder, colon, texts = argument.rpartition(":")
    if not colon or "/" in texts or "\\" in texts:  # a colon in the name of a folder
        folder, texts = argument, ""
    elif not texts:
        raise SceneError(f"{shown(argument)}: no pairs of frames behind the colon.", hint=_FORM)
    if not folder:
        raise SceneError(f"{shown(argument)!r} names no folder.", hint=_FORM)
    pairs = []
    for text in texts.split(",") if texts else ():
        match = _PAIR.fullmatch(text.strip())
        if match is None:
            raise SceneError(
                f"{shown(folder)}: {shown(text)!r} is no pair of frame numbers.", hint=_FORM
            )
        pairs.append(tuple(int(number) for number in match[0].split("-")))
    return scene_path(folder), tuple(pairs)


def posed_capture(folder: Path) -> Capture:
    """All frames of a ``transforms.json`` folder; photos stay unread.

    Raises:
        SceneError: no such folder or file, or as :func:`.transforms.read_transforms`.
    """
    if not folder.is_dir():
        raise SceneError(f"{shown(folder)}: no such folder.", hint=_FORM)
    if not (folder / TRANSFORMS_FILE).is_file():
        raise SceneError(
            f"{shown(folder)}: holds no {TRANSFORMS_FILE}, so it is no posed capture.",
            hint="Name the folder that holds it; 'sphinx-nvs import' writes one for other formats.",
        )
    return read_transforms(folder)


def between(
    capture: Capture,
    pairs: Sequence[FramePair],
    size: tuple[int, int],
    *,
    most_targets: int | None = None,
) -> list[Scene]:
    """A scene per pair: its frames as inputs, those between as targets, with their photos.

    Every pair is checked before the first photo is read.

    Args:
        capture: of :func:`posed_capture`.
        pairs: frame numbers of the inputs, in order; two, or more.
        size: ``(height, width)`` in pixels that all images are cropped and scaled to.
        most_targets: take so many of the frames between, evenly spread; ``None`` takes all.

    Returns:
        Scenes with ``target_images``, named after folder and pair. Depth range, warnings and
        positions along the capture are those of the capture.

    Raises:
        SceneError: a pair that is none, leaves the capture, has nothing between it or lacks a
            photo, each with the folder's name; or as :func:`.load.load_scene`.
    """
    targets = [_targets(capture, pair, most_targets) for pair in pairs]
    return [
        _scene(capture, pair, chosen, size) for pair, chosen in zip(pairs, targets, strict=True)
    ]


def _targets(capture: Capture, pair: FramePair, most: int | None) -> list[int]:
    """Frame numbers of the targets of a pair that can be used."""
    where = f"{_place(capture)}: the {'pair' if len(pair) == 2 else 'inputs'} {_numbers(pair)}"
    end = len(capture.shots) - 1
    if any(one >= other for one, other in pairwise(pair)):
        raise SceneError(f"{where} does not go forward.", hint="Write the lower number first.")
    if pair[0] < 0 or pair[-1] > end:
        raise SceneError(f"{where} is not within the capture.", hint=f"Its frames are 0 to {end}.")
    free = [frame for frame in range(pair[0], pair[-1]) if frame not in pair]
    if not free:
        raise SceneError(
            f"{where} has no frame between it.", hint="Name two that are further apart."
        )
    # Rounded evenly spread places, each once.
    start, count = free[0], len(free)
    places = torch.linspace(start, start + count - 1, count if most is None else min(most, count))
    targets = sorted({free[round(place) - start] for place in places.tolist()})
    for index in (*pair, *targets):
        file = capture.shots[index].file
        if file is None or not file.is_file():
            raise SceneError(
                f"{where} needs the photo of frame {index}, which is not there.",
                hint="Put it where the file of poses says, or name another pair.",
            )
    return targets


def _scene(capture: Capture, pair: FramePair, targets: list[int], size: tuple[int, int]) -> Scene:
    # Photos first as they are, then fitted: measures of captures were made so, and cameras that
    # are fitted in double precision differ in the last digit.
    scene = fit_scene(build_scene(replace(capture, inputs=pair), targets, None, "crop"), size)
    check_range(scene.near, scene.far, _place(capture))
    scene.validate()
    return checked(replace(scene, name=f"{capture.name} {_numbers(pair)}"))


def _numbers(pair: FramePair) -> str:
    return "-".join(map(str, pair))


def _place(capture: Capture) -> str:
    """The folder as its user named it."""
    return capture.name if capture.poses_file is None else shown(capture.poses_file.parent)
