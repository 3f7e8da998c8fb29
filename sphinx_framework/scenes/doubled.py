"""Photos that a file gives two poses: one of the two is wrong."""

from collections.abc import Sequence

import torch

from sphinx_framework.errors import shown
from sphinx_framework.scenes.capture import Shot
from sphinx_framework.scenes.images import Photo


def doubled_places(shots: Sequence[Shot]) -> tuple[int, int] | None:
    """The first two shots that have one photo with other poses; ``None`` without any."""
    first: dict[Photo, int] = {}
    for index, shot in enumerate(shots):
        if shot.file is None:
            continue
        before = first.setdefault(shot.file, index)
        poses = shots[before].world_from_camera, shot.world_from_camera
        if before != index and not torch.allclose(*poses, rtol=1e-6, atol=1e-6):
            return before, index
    return None


def doubled_photo(shots: Sequence[Shot]) -> str:
    """What is said of them; empty without any."""
    found = doubled_places(shots)
    if found is None:
        return ""
    before, shot = (shots[index] for index in found)
    both = shot.where if before.where == shot.where else f"{before.where}, and {shot.where}"
    name = "" if shot.file is None else shown(shot.file.name)
    return f"{both}: the photo {name} is there twice with other poses"
