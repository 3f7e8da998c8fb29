"""Photos out of videos."""

import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import is_unposed
from sphinx_framework.scenes.video import write_frames


def video(path, count=24, *, blurred=(), size=(64, 48)):
    """Noise of which the frame's number is the mean brightness; some frames are blurred."""
    generator = np.random.default_rng(0)
    noise = generator.integers(-60, 60, (size[1], size[0], 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"crf": "1"}
        for index in range(count):
            picture = Image.fromarray((noise + 60 + 5 * index).clip(0, 255).astype(np.uint8))
            if index in blurred:
                picture = picture.filter(ImageFilter.GaussianBlur(3))
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def numbers(files):
    """Which frames they are, by their brightness."""
    return [round((np.asarray(Image.open(file)).mean() - 60) / 5) for file in files]


def test_frames_are_spread_over_the_whole_video(tmp_path):
    files = write_frames(video(tmp_path / "a.mp4"), tmp_path, 4)
    assert [file.name for file in files] == [f"frame_000{i}.png" for i in range(4)]
    assert [number // 6 for number in numbers(files)] == [0, 1, 2, 3]


def test_the_sharpest_frame_of_every_stretch_is_taken(tmp_path):
    blurred = [i for i in range(24) if i not in (3, 10, 17, 20)]
    files = write_frames(video(tmp_path / "a.mp4", blurred=blurred), tmp_path, 4)
    assert numbers(files) == pytest.approx([3, 10, 17, 20], abs=1)


def test_a_short_video_gives_all_of_its_frames(tmp_path):
    assert len(write_frames(video(tmp_path / "a.mp4", count=3), tmp_path, 8)) == 3


def test_a_video_is_a_scene_without_cameras(tmp_path):
    assert is_unposed(video(tmp_path / "a.MP4"))
    assert not is_unposed(tmp_path / "missing.mp4")


@pytest.mark.parametrize("content", [b"", b"no video at all" * 99, b"\x00\x00\x00\x18ftypmp42" * 9])
def test_what_is_no_video_is_refused(tmp_path, content):
    file = tmp_path / "a.mp4"
    file.write_bytes(content)
    with pytest.raises(SceneError, match=r"a\.mp4"):
        write_frames(file, tmp_path)


def frames_or_refusal(file, folder):
    try:
        return str(len(write_frames(file, folder, 4)))
    except SceneError as refusal:
        return refusal.message


def test_a_cut_video_gives_what_can_be_decoded_or_is_refused(tmp_path):
    whole = video(tmp_path / "a.mkv").read_bytes()
    cut = tmp_path / "cut.mkv"
    for share in (0.2, 0.5, 0.9):
        cut.write_bytes(whole[: int(len(whole) * share)])
        told = frames_or_refusal(cut, tmp_path)
        assert "cut.mkv" in told or int(told) >= 2


@pytest.mark.parametrize("count", [-1, 0, 1, 201])
def test_an_impossible_number_of_frames_is_refused(tmp_path, count):
    with pytest.raises(SceneError, match="2 to 200"):
        write_frames(video(tmp_path / "a.mp4", count=3), tmp_path, count)


def test_one_frame_is_no_video(tmp_path):
    with pytest.raises(SceneError, match="has 1 frame;"):
        write_frames(video(tmp_path / "a.mp4", count=1), tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(SceneError, match="regular file"):
        write_frames(tmp_path / "a.mp4", tmp_path)


def halves(path, ratio=Fraction(1), *, matrix=None):
    """A video whose left half is bright, and its upper half blue; shown as the matrix says."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48] = 150
    picture[:32, :, 2] += 100
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = ratio
        frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for _ in range(3)]
        for frame in (*frames, None):
            for packet in stream.encode(frame):
                container.mux(packet)
    if matrix:
        (a, b), (c, d) = matrix
        data = bytearray(path.read_bytes())
        start = data.find(b"tkhd") + 44
        units = [65536 * value for value in (a, b, 0, c, d)]
        data[start : start + 20] = struct.pack(">5i", *units)
        path.write_bytes(data)
    return path


def pixels(file):
    return np.asarray(Image.open(file))


def corners(file):
    """Which corners are bright, then which are blue, from the upper left in reading order."""
    image = pixels(file).astype(int)[[4, -5]][:, [4, -5]].reshape(4, 3)
    bright, blue = image[:, 0] > 75, image[:, 2] - image[:, 0] > 50
    return "".join("x" if on else "." for on in (*bright, *blue))


@pytest.mark.parametrize(
    ("matrix", "wanted"),
    [
        (((1, 0), (0, 1)), "x.x.xx.."),
        (((0, 1), (-1, 0)), "xx...x.x"),
        (((-1, 0), (0, -1)), ".x.x..xx"),
        (((0, -1), (1, 0)), "..xxx.x."),
        (((-1, 0), (0, 1)), ".x.xxx.."),
        (((1, 0), (0, -1)), "x.x...xx"),
        (((0, 1), (1, 0)), "xx..x.x."),
    ],
)
def test_frames_are_turned_and_mirrored_as_a_player_does(tmp_path, matrix, wanted):
    file = write_frames(halves(tmp_path / "a.mp4", matrix=matrix), tmp_path)[0]
    assert pixels(file).shape == ((64, 96, 3) if matrix[0][0] else (96, 64, 3))
    assert corners(file) == wanted


@pytest.mark.parametrize(
    ("ratio", "matrix", "size"),
    [
        (Fraction(2), None, (64, 192)),
        (Fraction(1, 2), None, (128, 96)),
        (Fraction(2), ((0, 1), (-1, 0)), (192, 64)),
    ],
)
def test_pixels_that_are_not_square_become_so(tmp_path, ratio, matrix, size):
    file = write_frames(halves(tmp_path / "a.mp4", ratio, matrix=matrix), tmp_path)[0]
    assert pixels(file).shape == (*size, 3)


def test_the_limit_of_pixels_is_for_the_frame_as_it_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("sphinx_framework.scenes.video.MAX_PIXELS", 2 * 96 * 64 - 1)
    assert write_frames(halves(tmp_path / "a.mp4"), tmp_path)
    with pytest.raises(SceneError, match="too large"):
        write_frames(halves(tmp_path / "b.mp4", Fraction(1, 2)), tmp_path)
