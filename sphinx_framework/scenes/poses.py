"""Camera pose conventions, and their conversion to ours: OpenCV axes, camera to world.

Which convention a file has is decided without torch: the client decides by the same rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from sphinx_framework.errors import SceneError, suggestion
from sphinx_framework.scenes.json_fields import Fields
from sphinx_framework.scenes.target_keys import FRAMES, KEYFRAMES, PATH_KEY

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

PoseConvention = Literal["opengl_c2w", "opengl_w2c", "opencv_c2w", "opencv_w2c"]
CONVENTIONS: tuple[PoseConvention, ...] = get_args(PoseConvention)
_BOTTOM_ROW = (0.0, 0.0, 0.0, 1.0)
# Keys that only files with OpenGL camera-to-world poses have.
_OPENGL_KEYS = ("applied_transform", "orientation_override", "ply_file_path")


def opencv_world_from_camera(
    matrix: Float[Tensor, "4 4"], convention: PoseConvention
) -> Float[Tensor, "4 4"]:
    """Convert a 4x4 pose matrix of the named convention.

    OpenGL cameras look along -z with y up, so their y and z columns change sign. World-to-camera
    matrices are inverted by their rigid structure; one that is not rigid stays so, and is refused
    when the cameras are validated.
    """
    if convention.startswith("opengl"):
        flip = matrix.new_tensor([1, -1, -1, 1])
        if convention == "opengl_c2w":
            return matrix * flip
        matrix = matrix * flip[:, None]
    elif convention == "opencv_c2w":
        return matrix
    rotation = matrix[:3, :3].T
    inverse = matrix.clone()
    inverse[:3, :3] = rotation
    inverse[:3, 3] = -rotation @ matrix[:3, 3]
    return inverse


def check_convention(name: str) -> None:
    """Raise :class:`SceneError` unless a name is ``auto`` or a convention."""
    if name != "auto" and name not in CONVENTIONS:
        raise SceneError(
            f"unknown camera convention {name!r}.",
            hint=f"{suggestion(name, CONVENTIONS)}Choose one of: auto, {', '.join(CONVENTIONS)}.",
        )


def pose_convention(top: Fields, wanted: str = "auto") -> PoseConvention:
    """The convention that a ``cameras.json`` names, or the one that was asked for.

    Raises:
        SceneError: an unknown one, none at all, or two that differ.
    """
    check_convention(wanted)
    named = wanted if wanted != "auto" and "convention" not in top else top.text("convention")
    for convention in CONVENTIONS:
        if named == convention:
            if wanted not in ("auto", named):
                raise SceneError(
                    f"{top.where}, 'convention': is {named!r}, but {wanted!r} was asked for.",
                    hint="Leave --convention out, or correct the file.",
                )
            return convention
    raise SceneError(
        f"{top.where}, 'convention': unknown convention {named!r}.",
        hint=f"Choose one of: {', '.join(CONVENTIONS)}.",
    )


def target_convention(top: Fields, wanted: str) -> tuple[str, tuple[str, ...]]:
    """What to read a file of targets by, and what is said where that is not what was asked for.

    A convention is asked for because the scene leaves it open, or another file of targets does. A
    file that says its own keeps it: ``cameras.json`` and key frames by name (``auto`` heeds it), a
    ``transforms.json`` by the keys that only nerfstudio's convention has, as results have them.

    Raises:
        SceneError: an unknown one is wanted.
    """
    check_convention(wanted)
    if FRAMES not in top or KEYFRAMES in top or PATH_KEY in top:
        return "auto" if "convention" in top else wanted, ()
    key = next((key for key in _OPENGL_KEYS if key in top), None)
    if key is None or wanted in ("auto", "opengl_c2w"):
        return wanted, ()
    told = f"{top.where}: {key!r} says that its poses are opengl_c2w, so they are not {wanted}"
    return "auto", (told,)


def choose_convention(
    top: Fields, wanted: str, *, three_rows: bool, normalised: bool
) -> tuple[PoseConvention, tuple[str, ...]]:
    """The convention of a ``transforms.json`` by :mod:`.transforms`, and what is doubtful about it.

    three_rows, normalised: whether all of its matrices are 3x4, and all of its intrinsics are.

    Raises:
        SceneError: an unknown one is wanted.
    """
    check_convention(wanted)
    for known in CONVENTIONS:
        if wanted == known:
            return known, ()
    if any(key in top for key in _OPENGL_KEYS):
        return "opengl_c2w", ()
    if three_rows and normalised:
        return "opencv_w2c", ()
    if three_rows or normalised:
        sign = "3x4 matrices" if three_rows else "normalised intrinsics"
        return "opengl_c2w", (
            f"{top.where}: {sign} may mean OpenCV world-to-camera poses; read as OpenGL "
            "camera-to-world (convention='opencv_w2c' reads the other)",
        )
    return "opengl_c2w", ()


def to_4x4(matrix: Float[Tensor, "_ 4"], where: str) -> Float[Tensor, "4 4"]:
    """Append the row (0, 0, 0, 1) to a 3x4 matrix; a 4x4 matrix must end in it.

    Raises:
        SceneError: the last row of a 4x4 matrix is another one.
    """
    import torch

    bottom = matrix.new_tensor([_BOTTOM_ROW])
    if matrix.shape[0] == 3:
        return torch.cat([matrix, bottom])
    if not torch.allclose(matrix[3:], bottom, rtol=0, atol=1e-6):
        raise SceneError(f"{where}: the last row of the pose must be 0 0 0 1.")
    return matrix
