"""Lens distortion: how far OpenCV's moves a picture, and the picture without it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.lens_keys import DISTORTION_KEYS
from sphinx_framework.texts import counted

# Below this, distortion is not worth a word: nobody places a camera better than that.
_WORTH_TELLING = 0.5


def corner_shift(
    intrinsics: Float[Tensor, "3 3"], size: tuple[int, int], given: Mapping[str, float]
) -> float:
    """By how many pixels OpenCV distortion moves the corner that it moves most.

    intrinsics: in pixels of ``size`` (height, width). given: distortion by key, zero if missing.
    """
    k1, k2, p1, p2, k3, k4 = (given.get(key, 0.0) for key in DISTORTION_KEYS)
    k = intrinsics.numpy()
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    with np.errstate(all="ignore"):
        shifts = _shifts(corners, k, (k1, k2, k3, k4), (p1, p2))
    return float(np.nan_to_num(shifts, nan=np.inf).max())


def _shifts(
    corners: np.ndarray,
    k: np.ndarray,
    radial_terms: tuple[float, float, float, float],
    tangential: tuple[float, float],
) -> np.ndarray:
    """OpenCV's model: how far each of the points moves, in pixels."""
    (k1, k2, k3, k4), (p1, p2) = radial_terms, tangential
    x, y = ((corners - k[:2, 2]) / np.array([k[0, 0], k[1, 1]])).T
    r = x * x + y * y
    radial = r * (k1 + r * (k2 + r * (k3 + r * k4)))
    dx = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x)
    dy = y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y
    return np.hypot(dx * k[0, 0], dy * k[1, 1])


def distortion_note(shifts: Sequence[float]) -> str:
    """What was done about distortion in photos that were read; empty when it does not matter.

    shifts: of every photo, by how many pixels a corner moves.
    """
    undone = [shift for shift in shifts if shift >= _WORTH_TELLING]
    if not undone:
        return ""
    return (
        f"lens distortion was undone in {counted(len(undone), 'photo')}; it moves a corner "
        f"by up to {max(undone):.1f} pixels"
    )


def check_distortion(
    intrinsics: Float[Tensor, "3 3"], size: tuple[int, int], given: Mapping[str, float]
) -> None:
    """Refuse distortion that moves a corner by more than the image's size.

    Raises:
        SceneError: naming the terms.
    """
    height, width = size
    shift = corner_shift(intrinsics, size, given)
    if shift > max(height, width):
        raise SceneError(
            f"the distortion {dict(given)} moves a corner by {shift:.4g} pixels, more than the "
            f"whole image of {width}x{height} (width x height).",
            hint="Distortion is OpenCV's k1, k2, p1, p2, k3, k4.",
        )


def undistorted(
    image: Float[Tensor, "3 H W"], intrinsics: Float[Tensor, "3 3"], given: Mapping[str, float]
) -> Float[Tensor, "3 H W"]:
    """The picture that a pinhole camera with the same intrinsics takes; edges are repeated.

    intrinsics: in pixels of the image. Photos that distortion moves by less than half a pixel come
    back as they are.

    Raises:
        SceneError: distortion that moves a corner by more than the image's size.
    """
    height, width = int(image.shape[1]), int(image.shape[2])
    shift = corner_shift(intrinsics, (height, width), given)
    if shift < _WORTH_TELLING:
        return image
    check_distortion(intrinsics, (height, width), given)
    import cv2

    # OpenCV counts pixels from the middle of the first one, we from its corner.
    matrix = intrinsics.double().numpy().copy()
    matrix[:2, 2] -= 0.5
    k1, k2, p1, p2, k3, k4 = (given.get(key, 0.0) for key in DISTORTION_KEYS)
    # k4 of the eighth-order radial polynomial has no place in OpenCV's model.
    terms = np.array([k1, k2, p1, p2, k3])
    if k4:
        raise SceneError(f"'k4' is {k4:g}: only fisheye lenses have it.", hint="Undistort first.")
    maps = cv2.initUndistortRectifyMap(matrix, terms, None, matrix, (width, height), cv2.CV_32FC1)
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    straight = cv2.remap(picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(np.ascontiguousarray(straight.transpose(2, 0, 1))).clamp(0, 1)
