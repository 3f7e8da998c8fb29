"""Photos that a file gives two poses: one of the two is wrong."""

from collections.abc import Sequence

import torch

from sphinx_framework.errors import shown
from sphinx_framework.scenes.capture import Shot
from sphinx_framework.scenes.images import Photo


def doubled_photo(shots: Sequence[Shot]) -> str:
    """What is said of the first photo that two shots have with other poses; empty without one."""
    first: dict[Photo, Shot] = {}
    for shot in shots:
        if shot.file is None:
            continue
        before = first.setdefault(shot.file, shot)
        poses = before.world_from_camera, shot.world_from_camera
        if before is not shot and not torch.allclose(*poses, rtol=1e-6, atol=1e-6):
            both = shot.where if before.where == shot.where else f"{before.where}, and {shot.where}"
            return f"{both}: the photo {shown(shot.file.name)} is there twice with other poses"
    return ""
