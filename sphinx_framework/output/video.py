"""Write frames as an H.264 video that every player opens (yuv420p, even sides)."""

from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import JobError
from sphinx_framework.scenes.images import to_uint8

QUALITY = 18
_BT709 = 1


def write_video(path: Path, frames: Float[Tensor, "T 3 H W"], *, fps: float = 12.0) -> None:
    """Write an mp4: H.264, CRF 18, yuv420p in BT.709 with limited range.

    Odd sides are extended by one repeated row or column, because yuv420p halves the colour planes.

    Raises:
        JobError: there is no frame, or the encoder or the file system refuses.
    """
    if len(frames) == 0:
        raise JobError(f"{path}: a video needs at least one frame.")
    height, width = int(frames.shape[2]), int(frames.shape[3])
    bytes_rgb = to_uint8(
        functional.pad(frames.detach().float(), (0, width % 2, 0, height % 2), mode="replicate")
    )
    try:
        options = {"movflags": "+faststart"}  # Browsers show it before all of it has come.
        with av.open(str(path), mode="w", format="mp4", options=options) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
            stream.height, stream.width = bytes_rgb.shape[2:]
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": str(QUALITY)}
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = ColorRange.MPEG
            for image in bytes_rgb.permute(0, 2, 3, 1).cpu().numpy():
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                    format="yuv420p",
                    dst_colorspace=Colorspace.ITU709,
                    src_color_range=ColorRange.JPEG,
                    dst_color_range=ColorRange.MPEG,
                )
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (OSError, ValueError, av.FFmpegError) as cause:
        raise JobError(f"{path}: the video could not be written ({cause}).") from cause
