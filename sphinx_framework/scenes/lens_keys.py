"""What the keys of a JSON file say about a lens: its model and its distortion.

In numbers, without torch: the client reads its target files by the same rules.
"""

from collections.abc import Sequence

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.scenes.json_fields import Fields
from sphinx_framework.texts import counted

DISTORTION_KEYS = ("k1", "k2", "p1", "p2", "k3", "k4")
PINHOLE_MODELS = (
    "PINHOLE",
    "SIMPLE_PINHOLE",
    "OPENCV",
    "SIMPLE_RADIAL",
    "RADIAL",
    "PERSPECTIVE",
    "FULL_OPENCV",
)


def check_model(fields: Fields) -> None:
    """Refuse a camera model or flag that says the lens is no pinhole.

    Raises:
        SceneError: naming the key.
    """
    model = fields.text_or_none("camera_model")
    if model is not None and model.upper() not in PINHOLE_MODELS:
        raise SceneError(
            f"{fields.where}, 'camera_model': {model!r} is not a pinhole camera.",
            hint="Undistort the images first.",
        )
    fisheye = fields.values.get("is_fisheye")
    if fisheye not in (None, False):  # 1 and "true" mean it as well
        raise SceneError(
            f"{fields.where}, 'is_fisheye': is {shown(repr(fisheye))}; fisheye photos cannot be "
            "used.",
            hint="Undistort the images first, or say false.",
        )


def distortion_of(frame: Fields, top: Fields) -> dict[str, float]:
    """Distortion of a frame by key; the top level overrides, as with the other camera keys."""
    return {
        key: (top if key in top else frame).number(key)
        for key in DISTORTION_KEYS
        if key in top or key in frame
    }


def target_lens_doubts(top: Fields, frames: Sequence[Fields]) -> tuple[str, ...]:
    """Refuse targets of a lens that is no pinhole, and tell of distortion: none is rendered."""
    check_model(top)
    for frame in frames:
        check_model(frame)
    count = sum(any(distortion_of(frame, top).values()) for frame in frames)
    if not count:
        return ()
    return (
        f"{top.where}: the lens distortion of {counted(count, 'target')} is not rendered; their "
        "views are those of a pinhole camera",
    )
