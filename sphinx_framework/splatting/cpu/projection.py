"""CPU kernel: Gaussians to the screen-space splats of one view.

Computed in float64, because the determinant of a needle's screen covariance cancels in float32;
what is stored for the blending is well conditioned.
"""

import math

import numpy as np

from sphinx_framework.splatting.contract import ALPHA_MIN
from sphinx_framework.splatting.cpu.layout import (
    BLUE,
    BOTTOM,
    DEPTH,
    GREEN,
    HALF_CONIC,
    HALF_YY,
    HIDDEN,
    LEFT,
    LIMIT,
    MEAN_X,
    MEAN_Y,
    OPACITY,
    RED,
    RIGHT,
    SLOPE,
    TILE,
    TOP,
    compiled,
    compiled_sum,
)
from sphinx_framework.splatting.harmonics import MAX_COEFFICIENTS

_F = np.float32
# Beyond this the image position of a mean is meaningless (z almost 0).
_FAR_OFF = 1e9
_PER_ALPHA_MIN = 1 / ALPHA_MIN


@compiled
def project_splats(
    gaussians: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    camera: tuple[np.ndarray, np.ndarray, np.ndarray],
    size: tuple[int, int],
    limits: tuple[float, float],
    share: tuple[int, int],
    out: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Project one lane's share of the Gaussians.

    Args:
        gaussians: means [G 3], covariances [G 3 3], harmonics [G 3 d], opacities [G], float32.
        camera: camera-from-world rotation [3 3] and translation [3], (fx, fy, cx, cy); float64.
        size: height and width in pixels.
        limits: near culling depth and dilation.
        share: this lane and the number of lanes.
        out: splats [G 12], boxes [G 4], tile boxes [G 4] and depth keys [G] to fill.
    """
    means, covariances, harmonics, opacities = gaussians
    rotation, translation, pinhole = camera
    splats, boxes, tile_boxes, keys = out
    near, dilation = limits
    lane, lanes = share
    key = np.empty(1, np.float32)
    basis = np.empty(MAX_COEFFICIENTS, np.float32)
    bounds = _tangent_bounds(pinhole, size)
    centre = -(rotation.T @ translation)
    count = means.shape[0]
    for g in range(lane * count // lanes, (lane + 1) * count // lanes):
        keys[g] = HIDDEN
        opacity = float(opacities[g])
        x, y, z = _to_camera(means, g, rotation, translation)
        if not (opacity >= ALPHA_MIN and z > near):
            continue
        per_z = 1 / z
        u, v = x * per_z, y * per_z
        mean_x = pinhole[0] * u + pinhole[2]
        mean_y = pinhole[1] * v + pinhole[3]
        xx, xy, yy = _screen_covariance(covariances, g, rotation, pinhole, bounds, (u, v, per_z))
        xx += dilation
        yy += dilation
        determinant = xx * yy - xy * xy
        far_off = not (abs(mean_x) < _FAR_OFF and abs(mean_y) < _FAR_OFF)
        if far_off or not 0 < determinant < math.inf:
            continue
        limit = math.log(opacity * _PER_ALPHA_MIN)
        if not _set_box((mean_x, mean_y), (xx, yy), limit, size, (boxes, tile_boxes), g):
            continue
        splats[g, MEAN_X] = mean_x - boxes[g, LEFT]
        splats[g, MEAN_Y] = mean_y - boxes[g, TOP]
        per_yy = 1 / yy
        splats[g, SLOPE] = xy * per_yy
        splats[g, HALF_YY] = 0.5 * per_yy
        splats[g, HALF_CONIC] = 0.5 * yy / determinant
        splats[g, LIMIT] = limit
        splats[g, OPACITY] = opacity
        splats[g, DEPTH] = z
        key[0] = z
        keys[g] = key.view(np.uint32)[0]
    # A loop of its own: more Gaussians are in flight at once than behind all of the above.
    for g in range(lane * count // lanes, (lane + 1) * count // lanes):
        if keys[g] != HIDDEN:
            _set_colour((means, harmonics), g, centre, basis, splats)


@compiled
def _tangent_bounds(
    pinhole: np.ndarray, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Tangents between which the projection is linearised: the image and 30 % of its half."""
    height, width = size
    fx, fy, cx, cy = pinhole[0], pinhole[1], pinhole[2], pinhole[3]
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    return (
        -cx / fx - margin_x,
        (width - cx) / fx + margin_x,
        -cy / fy - margin_y,
        (height - cy) / fy + margin_y,
    )


@compiled_sum
def _to_camera(
    means: np.ndarray, g: int, rotation: np.ndarray, translation: np.ndarray
) -> tuple[float, float, float]:
    a, b, c = float(means[g, 0]), float(means[g, 1]), float(means[g, 2])
    x = rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2] * c + translation[0]
    y = rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2] * c + translation[1]
    z = rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2] * c + translation[2]
    return x, y, z


@compiled_sum
def _screen_covariance(
    covariances: np.ndarray,
    g: int,
    rotation: np.ndarray,
    pinhole: np.ndarray,
    bounds: tuple[float, float, float, float],
    ray: tuple[float, float, float],
) -> tuple[float, float, float]:
    """``J R Sigma R^T J^T`` as (xx, xy, yy), before the dilation; ray: x/z, y/z, 1/z."""
    u = min(max(ray[0], bounds[0]), bounds[1])
    v = min(max(ray[1], bounds[2]), bounds[3])
    along_x, along_y = pinhole[0] * ray[2], pinhole[1] * ray[2]
    a0 = along_x * (rotation[0, 0] - u * rotation[2, 0])
    a1 = along_x * (rotation[0, 1] - u * rotation[2, 1])
    a2 = along_x * (rotation[0, 2] - u * rotation[2, 2])
    b0 = along_y * (rotation[1, 0] - v * rotation[2, 0])
    b1 = along_y * (rotation[1, 1] - v * rotation[2, 1])
    b2 = along_y * (rotation[1, 2] - v * rotation[2, 2])
    s00, s01, s02 = (
        float(covariances[g, 0, 0]),
        float(covariances[g, 0, 1]),
        float(covariances[g, 0, 2]),
    )
    s11, s12, s22 = (
        float(covariances[g, 1, 1]),
        float(covariances[g, 1, 2]),
        float(covariances[g, 2, 2]),
    )
    sa0 = s00 * a0 + s01 * a1 + s02 * a2
    sa1 = s01 * a0 + s11 * a1 + s12 * a2
    sa2 = s02 * a0 + s12 * a1 + s22 * a2
    sb0 = s00 * b0 + s01 * b1 + s02 * b2
    sb1 = s01 * b0 + s11 * b1 + s12 * b2
    sb2 = s02 * b0 + s12 * b1 + s22 * b2
    return (
        a0 * sa0 + a1 * sa1 + a2 * sa2,
        b0 * sa0 + b1 * sa1 + b2 * sa2,
        b0 * sb0 + b1 * sb1 + b2 * sb2,
    )


@compiled
def _set_box(
    mean: tuple[float, float],
    variance: tuple[float, float],
    limit: float,
    size: tuple[int, int],
    out: tuple[np.ndarray, np.ndarray],
    g: int,
) -> bool:
    """Write the pixels and tiles the splat can reach; return False when there are none."""
    height, width = size
    boxes, tile_boxes = out
    half_x, half_y = math.sqrt(2 * limit * variance[0]), math.sqrt(2 * limit * variance[1])
    left = math.ceil(max(mean[0] - half_x - 0.5, 0.0))
    right = math.floor(min(mean[0] + half_x + 0.5, float(width)))
    top = math.ceil(max(mean[1] - half_y - 0.5, 0.0))
    bottom = math.floor(min(mean[1] + half_y + 0.5, float(height)))
    if not (left < right and top < bottom):
        return False
    boxes[g, LEFT], boxes[g, RIGHT] = int(left), int(right)
    boxes[g, TOP], boxes[g, BOTTOM] = int(top), int(bottom)
    tile_boxes[g, LEFT] = int(left) // TILE
    tile_boxes[g, RIGHT] = (int(right) - 1) // TILE + 1
    tile_boxes[g, TOP] = int(top) // TILE
    tile_boxes[g, BOTTOM] = (int(bottom) - 1) // TILE + 1
    return True


@compiled_sum
def _set_colour(
    gaussians: tuple[np.ndarray, np.ndarray],
    g: int,
    centre: np.ndarray,
    basis: np.ndarray,
    splats: np.ndarray,
) -> None:
    """Evaluate the harmonics towards the Gaussian; ``basis`` is scratch space."""
    means, harmonics = gaussians
    x, y, z = means[g, 0] - centre[0], means[g, 1] - centre[1], means[g, 2] - centre[2]
    inverse = 1 / math.sqrt(x * x + y * y + z * z)
    terms = min(harmonics.shape[2], basis.shape[0])
    _set_basis(_F(x * inverse), _F(y * inverse), _F(z * inverse), terms, basis)
    red, green, blue = _F(0.5), _F(0.5), _F(0.5)
    for n in range(terms):
        red += harmonics[g, 0, n] * basis[n]
        green += harmonics[g, 1, n] * basis[n]
        blue += harmonics[g, 2, n] * basis[n]
    splats[g, RED] = max(red, _F(0))
    splats[g, GREEN] = max(green, _F(0))
    splats[g, BLUE] = max(blue, _F(0))


@compiled_sum
def _set_basis(x: np.float32, y: np.float32, z: np.float32, terms: int, basis: np.ndarray) -> None:
    """:func:`.harmonics.standard_basis` in float32."""
    basis[0] = _F(0.28209479177387814)
    if terms > 1:
        basis[1] = _F(-0.4886025119029199) * y
        basis[2] = _F(0.4886025119029199) * z
        basis[3] = _F(-0.4886025119029199) * x
    xx, yy, zz = x * x, y * y, z * z
    if terms > 4:
        basis[4] = _F(1.0925484305920792) * x * y
        basis[5] = _F(-1.0925484305920792) * y * z
        basis[6] = _F(0.31539156525252005) * (_F(2) * zz - xx - yy)
        basis[7] = _F(-1.0925484305920792) * x * z
        basis[8] = _F(0.5462742152960396) * (xx - yy)
    if terms > 9:
        basis[9] = _F(-0.5900435899266435) * y * (_F(3) * xx - yy)
        basis[10] = _F(2.890611442640554) * x * y * z
        basis[11] = _F(-0.4570457994644658) * y * (_F(4) * zz - xx - yy)
        basis[12] = _F(0.3731763325901154) * z * (_F(2) * zz - _F(3) * (xx + yy))
        basis[13] = _F(-0.4570457994644658) * x * (_F(4) * zz - xx - yy)
        basis[14] = _F(1.445305721320277) * z * (xx - yy)
        basis[15] = _F(-0.5900435899266435) * x * (xx - _F(3) * yy)
