"""Camera pose conventions, and their conversion to ours: OpenCV axes, camera to world."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError, suggestion

PoseConvention = Literal["opengl_c2w", "opengl_w2c", "opencv_c2w", "opencv_w2c"]
CONVENTIONS: tuple[PoseConvention, ...] = get_args(PoseConvention)
_BOTTOM_ROW = (0.0, 0.0, 0.0, 1.0)


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


def to_4x4(matrix: Float[Tensor, "_ 4"], where: str) -> Float[Tensor, "4 4"]:
    """Append the row (0, 0, 0, 1) to a 3x4 matrix; a 4x4 matrix must end in it.

    Raises:
        SceneError: the last row of a 4x4 matrix is another one.
    """
    bottom = matrix.new_tensor([_BOTTOM_ROW])
    if matrix.shape[0] == 3:
        return torch.cat([matrix, bottom])
    if not torch.allclose(matrix[3:], bottom, rtol=0, atol=1e-6):
        raise SceneError(f"{where}: the last row of the pose must be 0 0 0 1.")
    return matrix
