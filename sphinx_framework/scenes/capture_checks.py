"""What can be wrong with a capture before any of its photos is decoded."""

from pathlib import Path

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.capture import Capture, in_file_pixels
from sphinx_framework.scenes.checks import check_intrinsics, check_range
from sphinx_framework.scenes.lens import check_distortion


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
