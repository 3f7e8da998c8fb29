"""What can be wrong with a capture before any of its photos is decoded."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Capture, Shot, in_file_pixels, read_photo
from sphinx_framework.scenes.checks import check_intrinsics, check_range
from sphinx_framework.scenes.images import MAX_PIXELS
from sphinx_framework.scenes.lens import check_distortion
from sphinx_framework.scenes.view_checks import View, view_doubts


def check_capture(capture: Capture, path: Path, default_size: tuple[int, int]) -> tuple[str, ...]:
    """Refuse a capture that no render could use; returns the first doubt about intrinsics.

    path: of the scene, for messages. default_size: (height, width) of shots that neither state a
    size nor have a photo.

    Raises:
        SceneError: naming file and place.
    """
    check_range(capture.near, capture.far, str(capture.poses_file or shown(path)))
    doubts: list[str] = []
    for shot in capture.shots:
        k, size = in_file_pixels(shot, default_size)
        doubts += check_intrinsics(shot.where, k, size, stated=shot.image_size is not None)
        try:
            check_distortion(k, size, shot.distortion)
        except SceneError as error:
            raise SceneError(f"{shot.where}: {error.message}", hint=error.hint) from error
    return tuple(doubts[:1])


def capture_view_doubts(inputs: Sequence[Shot], targets: Sequence[Shot]) -> tuple[str, ...]:
    """The doubt about cameras that do not fit their photos, of which two to four are read."""
    seen = [shot for shot in targets if shot.file is not None and shot.file.is_file()]
    return view_doubts([_view(shot) for shot in inputs], [_view(shot) for shot in seen])


def _view(shot: Shot) -> View:
    assert shot.file is not None
    intrinsics, _ = in_file_pixels(shot, (1, 1))
    return View(
        image=partial(read_photo, shot, shot.file, MAX_PIXELS),
        intrinsics=intrinsics,
        pose=shot.world_from_camera,
        readings=shot.readings,
    )
