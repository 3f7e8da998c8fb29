"""Numba ray caster for the built-in scenes: exact depth, mip-mapped textures, shadows, highlights.

Camera axes are OpenCV's (x right, y down, z forward) and pixel centres lie at half-integers, so
pixel ``(row, column)`` looks along ``K^-1 [column + 0.5, row + 0.5, 1]``. Depth is camera-z.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sphinx_framework_lite.scenes.textures import LEVELS, SIZE

Floats = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]

BOX, SPHERE, CYLINDER, ROOM, SKY, GROUND = 0, 1, 2, 3, 4, 5
FAR_AWAY = 1e9
EPSILON = 1e-4


@njit(cache=True, nogil=True, fastmath=True)
def _slabs(
    inside: bool, h: Any, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    near, far = -FAR_AWAY, FAR_AWAY
    for axis in range(3):
        o = ox if axis == 0 else (oy if axis == 1 else oz)
        d = dx if axis == 0 else (dy if axis == 1 else dz)
        if abs(d) < 1e-12:
            if abs(o) > h[axis]:
                return FAR_AWAY
            continue
        first, second = (-h[axis] - o) / d, (h[axis] - o) / d
        if first > second:
            first, second = second, first
        near, far = max(near, first), min(far, second)
    if near > far:
        return FAR_AWAY
    distance = far if inside else near
    return distance if distance > EPSILON else FAR_AWAY


@njit(cache=True, nogil=True, fastmath=True)
def _distance(
    kind: int, h: Any, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    """Ray parameter of the visible hit with one primitive in its own axes, or FAR_AWAY."""
    if kind in (BOX, ROOM):
        return _slabs(kind == ROOM, h, ox, oy, oz, dx, dy, dz)
    if kind == GROUND:
        if abs(dy) < 1e-9:
            return FAR_AWAY
        t = -oy / dy
        return t if t > EPSILON else FAR_AWAY
    if kind == CYLINDER:
        a, b = dx * dx + dy * dy, ox * dx + oy * dy
        c = ox * ox + oy * oy - h[0] * h[0]
        best = FAR_AWAY
        root = b * b - a * c
        if a > 1e-12 and root > 0:
            t = (-b - math.sqrt(root)) / a
            if t > EPSILON and abs(oz + t * dz) < h[2]:
                best = t
        if abs(dz) > 1e-9:
            t = (-math.copysign(h[2], dz) - oz) / dz
            if EPSILON < t < best and (ox + t * dx) ** 2 + (oy + t * dy) ** 2 < h[0] * h[0]:
                best = t
        return best
    a, b = dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - h[0] * h[0]
    root = b * b - a * c
    if root <= 0:
        return FAR_AWAY
    side = math.sqrt(root) if kind == SKY else -math.sqrt(root)
    t = (-b + side) / a
    return t if t > EPSILON else FAR_AWAY


@njit(cache=True, nogil=True, fastmath=True)
def _surface(kind: int, h: Any, x: float, y: float, z: float) -> Any:
    """Outward normal, texture coordinates (scene units) and face of a local surface point."""
    if kind == GROUND:
        return 0.0, -1.0, 0.0, x, z, 0
    if kind == CYLINDER:
        if abs(z) > h[2] - 1e-6 * (1 + h[2]):
            return 0.0, 0.0, math.copysign(1.0, z), x, y, 1
        return x / h[0], y / h[0], 0.0, math.atan2(y, x) * h[0], z, 0
    if kind in (SPHERE, SKY):
        r = h[0]
        elevation = math.asin(min(1.0, max(-1.0, y / r)))
        sign = -1.0 if kind == SKY else 1.0
        return sign * x / r, sign * y / r, sign * z / r, math.atan2(z, x) * r, elevation * r, 0
    px, py, pz = abs(x) / h[0], abs(y) / h[1], abs(z) / h[2]
    flip = -1.0 if kind == ROOM else 1.0
    if px >= py and px >= pz:
        return flip * math.copysign(1.0, x), 0.0, 0.0, z, y, 0 if x < 0 else 1
    if py >= pz:
        return 0.0, flip * math.copysign(1.0, y), 0.0, x, z, 2 if y < 0 else 3
    return 0.0, 0.0, flip * math.copysign(1.0, z), x, y, 4 if z < 0 else 5


@njit(cache=True, nogil=True, fastmath=True)
def _closest(
    kinds: Any, centres: Any, axes: Any, halves: Any, o: Any, d: Any, limit: float, shells: bool
) -> Any:
    """Nearest primitive along a ray: its index (-1: none) and ray parameter."""
    best, which = limit, -1
    for p in range(kinds.shape[0]):
        if not shells and kinds[p] >= ROOM:
            continue
        sx, sy, sz = o[0] - centres[p, 0], o[1] - centres[p, 1], o[2] - centres[p, 2]
        r = axes[p]
        t = _distance(
            kinds[p],
            halves[p],
            r[0, 0] * sx + r[0, 1] * sy + r[0, 2] * sz,
            r[1, 0] * sx + r[1, 1] * sy + r[1, 2] * sz,
            r[2, 0] * sx + r[2, 1] * sy + r[2, 2] * sz,
            r[0, 0] * d[0] + r[0, 1] * d[1] + r[0, 2] * d[2],
            r[1, 0] * d[0] + r[1, 1] * d[1] + r[1, 2] * d[2],
            r[2, 0] * d[0] + r[2, 1] * d[1] + r[2, 2] * d[2],
        )
        if t < best:
            best, which = t, p
    return which, best


@njit(cache=True, nogil=True, fastmath=True)
def _bilinear(pyramid: Any, level: int, u: float, v: float, out: Any, weight: float) -> None:
    size = SIZE >> level
    start = 0
    for i in range(level):
        start += (SIZE >> i) * (SIZE >> i)
    x, y = u * size - 0.5, v * size - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    for j in range(2):
        for i in range(2):
            w = weight * (fx if i else 1 - fx) * (fy if j else 1 - fy)
            texel = start + (int(y0 + j) % size) * size + int(x0 + i) % size
            for c in range(3):
                out[c] += w * pyramid[texel, c]


@njit(cache=True, nogil=True, fastmath=True)
def _sample(pyramid: Any, u: float, v: float, footprint: float, out: Any) -> None:
    """Trilinear texture lookup; footprint in texels of the finest level."""
    level = min(max(math.log2(max(footprint, 1e-6)), 0.0), LEVELS - 1.001)
    low = int(level)
    _bilinear(pyramid, low, u, v, out, 1 - (level - low))
    _bilinear(pyramid, low + 1, u, v, out, level - low)


@njit(cache=True, nogil=True, fastmath=True)
def _shade(  # noqa: PLR0913 - numba takes no dataclass
    p: int,
    t: float,
    footprint: float,
    geometry: Any,
    material: Any,
    light: Any,
    o: Any,
    d: Any,
    scratch: Any,
    out: Any,
) -> None:
    """Add the colour seen along one ray to ``out``; scratch: ``[4, 3]``, overwritten."""
    kinds, centres, axes, halves = geometry
    textures, atlas, repeats, offsets, speculars = material
    position, ambient, strength, directional, shadows = light
    r = axes[p]
    hx, hy, hz = o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]
    sx, sy, sz = hx - centres[p, 0], hy - centres[p, 1], hz - centres[p, 2]
    nx, ny, nz, u, v, face = _surface(
        kinds[p],
        halves[p],
        r[0, 0] * sx + r[0, 1] * sy + r[0, 2] * sz,
        r[1, 0] * sx + r[1, 1] * sy + r[1, 2] * sz,
        r[2, 0] * sx + r[2, 1] * sy + r[2, 2] * sz,
    )
    colour, normal, to_light, start = scratch[0], scratch[1], scratch[2], scratch[3]
    facing = 0.0
    for a in range(3):
        colour[a] = 0.0
        normal[a] = r[0, a] * nx + r[1, a] * ny + r[2, a] * nz
        facing += normal[a] * d[a]
    scale = repeats[p, face]
    texels = footprint * t / max(abs(facing), 0.2) * scale * SIZE
    _sample(
        atlas[textures[p, face]],
        u * scale + offsets[p, 0],
        v * scale + offsets[p, 1],
        texels,
        colour,
    )
    if kinds[p] == SKY:
        for c in range(3):
            out[c] += colour[c]
        return
    to_light[0] = position[0] - (0.0 if directional else hx)
    to_light[1] = position[1] - (0.0 if directional else hy)
    to_light[2] = position[2] - (0.0 if directional else hz)
    reach = math.sqrt(to_light[0] ** 2 + to_light[1] ** 2 + to_light[2] ** 2)
    cosine, along = 0.0, 0.0
    for a in range(3):
        to_light[a] /= reach
        cosine += normal[a] * to_light[a]
        along += to_light[a] * d[a]
    lit = 1.0
    if shadows and cosine > 0:
        limit = FAR_AWAY if directional else reach
        start[0], start[1], start[2] = (
            hx + 2e-3 * normal[0],
            hy + 2e-3 * normal[1],
            hz + 2e-3 * normal[2],
        )
        blocker, _ = _closest(kinds, centres, axes, halves, start, to_light, limit, False)
        lit = 0.0 if blocker >= 0 else 1.0
    diffuse = ambient + strength * max(cosine, 0.0) * lit
    # The mirrored light direction, 2 (n.l) n - l, seen against the view direction.
    glint = max(0.0, along - 2 * cosine * facing) ** 24 * speculars[p] * lit
    for c in range(3):
        out[c] += min(1.0, colour[c] * diffuse + glint)


@njit(cache=True, nogil=True, fastmath=True)
def cast_colour(
    geometry: Any,
    material: Any,
    light: Any,
    poses: Any,
    intrinsics: Any,
    height: int,
    width: int,
    samples: int,
) -> Any:
    """Render ``[V, H, W, 3]`` images in [0, 1] with ``samples**2`` rays a pixel."""
    kinds, centres, axes, halves = geometry
    views = poses.shape[0]
    images = np.zeros((views, height, width, 3), np.float32)
    d, colour, scratch = np.zeros(3), np.zeros(3), np.zeros((4, 3))
    for view in range(views):
        k, pose = intrinsics[view], poses[view]
        o = pose[:3, 3].copy()
        footprint = 1.0 / (k[0, 0] * samples)
        for row in range(height):
            for column in range(width):
                colour[:] = 0
                for j in range(samples):
                    for i in range(samples):
                        cx = (column + (i + 0.5) / samples - k[0, 2]) / k[0, 0]
                        cy = (row + (j + 0.5) / samples - k[1, 2]) / k[1, 1]
                        norm = math.sqrt(cx * cx + cy * cy + 1)
                        for a in range(3):
                            d[a] = (pose[a, 0] * cx + pose[a, 1] * cy + pose[a, 2]) / norm
                        p, t = _closest(kinds, centres, axes, halves, o, d, FAR_AWAY, True)
                        if p >= 0:
                            _shade(
                                p, t, footprint, geometry, material, light, o, d, scratch, colour
                            )
                for c in range(3):
                    images[view, row, column, c] = min(1.0, colour[c] / (samples * samples))
    return images


@njit(cache=True, nogil=True, fastmath=True)
def cast_depth(geometry: Any, poses: Any, intrinsics: Any, height: int, width: int) -> Any:
    """Exact camera-z ``[V, H, W]`` through the pixel centres."""
    kinds, centres, axes, halves = geometry
    views = poses.shape[0]
    depth = np.zeros((views, height, width), np.float32)
    d = np.zeros(3)
    for view in range(views):
        k, pose = intrinsics[view], poses[view]
        o = pose[:3, 3].copy()
        for row in range(height):
            for column in range(width):
                cx = (column + 0.5 - k[0, 2]) / k[0, 0]
                cy = (row + 0.5 - k[1, 2]) / k[1, 1]
                for a in range(3):
                    d[a] = pose[a, 0] * cx + pose[a, 1] * cy + pose[a, 2]
                _, t = _closest(kinds, centres, axes, halves, o, d, FAR_AWAY, True)
                depth[view, row, column] = t
    return depth
