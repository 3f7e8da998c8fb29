"""Photos out of a video: evenly spaced, and of every stretch the sharpest."""

import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.images import MAX_PIXELS
from sphinx_framework.texts import counted

VIDEO_ENDINGS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
# Enough to settle a focal length, few enough to match every pair.
FRAMES = 8
MOST_FRAMES = 200
# Frames looked at in every stretch; longer videos are to be cut first.
_LOOKS = 6
_MOST_DECODED = 20_000
_SIDE = 256


def is_video(path: Path) -> bool:
    """Whether a path is a file with a video's ending."""
    return path.suffix.lower() in VIDEO_ENDINGS and path.exists() and not path.is_dir()


def write_frames(path: Path, folder: Path, count: int = FRAMES) -> list[Path]:
    """Write ``count`` frames of a video into a folder, as PNG files named in their order.

    The video is cut into ``count`` equal stretches, and the sharpest of six frames of each is kept,
    upright and with square pixels. A video of fewer frames gives all of them.

    Raises:
        SceneError: no regular file, no readable video, too long a video, or an impossible count.
    """
    if not 2 <= count <= MOST_FRAMES:
        raise SceneError(f"{count} frames of a video: must be 2 to {MOST_FRAMES}.")
    if not stat.S_ISREG(path.stat().st_mode):
        raise SceneError(f"{shown(path)}: is no regular file.")
    with _opened(path) as container:
        total = sum(packet.pts is not None for packet in container.demux(video=0))
    if not 2 <= total <= _MOST_DECODED:
        raise SceneError(
            f"{shown(path)}: has {counted(total, 'frame')}; 2 to {_MOST_DECODED} can be used.",
            hint="Cut out the part that shows the scene." if total > 2 else "",
        )
    best: dict[int, tuple[float, UInt8[np.ndarray, "H W 3"]]] = {}
    stretches = min(count, total)
    with _opened(path) as container:
        ratio = _pixel_ratio(container.streams.video[0])
        for index, frame in enumerate(_frames(container, total)):
            stretch = index * stretches // total
            if not _looked_at(index, stretch, stretches, total):
                continue
            image = _upright(frame, ratio)
            sharpness = _sharpness(image)
            if stretch not in best or sharpness > best[stretch][0]:
                best[stretch] = sharpness, image
    if len(best) < 2:
        raise SceneError(f"{shown(path)}: fewer than two of its frames can be decoded.")
    files = []
    for number, stretch in enumerate(sorted(best)):
        files.append(folder / f"frame_{number:04d}.png")
        Image.fromarray(best[stretch][1]).save(files[-1])
    return files


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An open container with a video stream; whatever PyAV raises is a clear error."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise SceneError(f"{shown(path)}: has no video in it.")
            stream = container.streams.video[0]
            ratio = _pixel_ratio(stream)
            if stream.width * stream.height * max(ratio, 1 / ratio) > MAX_PIXELS:
                raise SceneError(f"{shown(path)}: its frames are too large.")
            yield container
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise SceneError(
            f"{shown(path)}: cannot be read as a video ({shown(error)}).",
            hint="Export it again as MP4 (H.264), or give a folder of photos.",
        ) from None


def _frames(container: Any, total: int) -> Iterator[Any]:
    """Frames in the order in which they are shown; a damaged end is left out."""
    container.streams.video[0].thread_type = "AUTO"
    frames = container.decode(video=0)
    for number in range(total):
        try:
            yield next(frames)
        except StopIteration:
            return
        except av.FFmpegError:
            if number == 0:
                raise
            return


def _looked_at(index: int, stretch: int, stretches: int, total: int) -> bool:
    """Whether a frame is one of the few evenly spaced ones of its stretch."""
    first = -(-stretch * total // stretches)
    length = max(1, total // stretches)
    step = max(1, length // _LOOKS)
    return (index - first) % step == 0


def _upright(frame: Any, ratio: float) -> UInt8[np.ndarray, "H W 3"]:
    """RGB pixels as a player shows them: square ones, turned by the note that phones write.

    ratio: width of a stored pixel over its height; the picture grows along one side, so that
    nothing of it is lost.
    """
    image: np.ndarray = frame.to_ndarray(format="rgb24")
    height, width = image.shape[:2]
    shown_size = round(width * max(1.0, ratio)), round(height * max(1.0, 1 / ratio))
    if shown_size != (width, height):
        image = cv2.resize(image, shown_size, interpolation=cv2.INTER_CUBIC)
    a, b, c, d = _display(frame)
    if abs(a) < abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _display(frame: Any) -> tuple[int, int, int, int]:
    """How a player moves pixels: x to ax + cy, y to bx + dy; it may mirror as well as turn."""
    for note in frame.side_data:
        if note.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack("=5i", bytes(note)[:20])
            return a, b, c, d
    return 1, 0, 0, 1


def _pixel_ratio(stream: Any) -> float:
    """Width of a pixel over its height; 1 where the video does not say."""
    return float(stream.sample_aspect_ratio or 1)


def _sharpness(image: UInt8[np.ndarray, "H W 3"]) -> float:
    """Variance of the Laplacian of a small grey copy."""
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_64F).var())
