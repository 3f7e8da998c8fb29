import av
import pytest
import torch

from sphinx_framework.errors import JobError
from sphinx_framework.output.video import write_video


@pytest.mark.parametrize("size", [(16, 20), (17, 21), (1, 1)])
def test_a_video_has_every_frame_even_sides_and_its_colours(tmp_path, size):
    colours = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.8, 0.3], [0.2, 0.2, 0.9]])
    frames = colours[:, :, None, None].expand(3, 3, *size)
    write_video(tmp_path / "video.mp4", frames, fps=24.0)
    with av.open(str(tmp_path / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == 24
        read = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(read) == 3
    for image, colour in zip(read, colours, strict=True):
        assert image.shape[:2] == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        shown = torch.from_numpy(image).float().mean(dim=(0, 1)) / 255
        torch.testing.assert_close(shown, colour, rtol=0, atol=0.03)


def test_no_frames_and_no_folder_are_clear_errors(tmp_path):
    with pytest.raises(JobError, match="at least one frame"):
        write_video(tmp_path / "video.mp4", torch.zeros(0, 3, 4, 4))
    with pytest.raises(JobError, match="could not be written"):
        write_video(tmp_path / "absent" / "video.mp4", torch.zeros(1, 3, 4, 4))


def test_the_index_comes_before_the_pictures(tmp_path):
    write_video(tmp_path / "a.mp4", torch.rand(3, 3, 32, 32))
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
