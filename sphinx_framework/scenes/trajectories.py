"""Camera paths made from the inputs: between them, around what they look at, or spiralling.

Every path keeps the inputs' image size, and interpolates or copies their intrinsics.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.rotations import (
    matrices_from_quaternions,
    quaternions_from_matrices,
    slerp,
)
from sphinx_framework.types import Cameras

# Axes within about 2 degrees of parallel do not meet at a trustworthy point.
_PARALLEL = 1e-3


def interpolate(inputs: Cameras, count: int) -> tuple[Cameras, Float[Tensor, " T"]]:
    """Place ``count`` cameras evenly between the inputs, in the order given, ends excluded.

    Two inputs: rotation by slerp, centre and intrinsics linear. More: Catmull-Rom splines through
    all centres and through the sign-aligned quaternions, intrinsics piecewise linear.

    Returns:
        The cameras, and their place among the inputs (1.5 is half-way from input 1 to input 2).

    Raises:
        SceneError: fewer than two inputs.
    """
    if len(inputs) < 2:
        raise SceneError(
            f"interpolating needs at least 2 inputs, the scene has {len(inputs)}.",
            hint="Use --targets orbit:N or spiral:N for a single input.",
        )
    places = (len(inputs) - 1) * torch.arange(1, count + 1, dtype=torch.float64) / (count + 1)
    quaternions = quaternions_from_matrices(inputs.world_from_camera[:, :3, :3].double())
    centres = inputs.centres.double()
    if len(inputs) == 2:
        turned = slerp(quaternions[0], quaternions[1], places)
        moved = _lerp(centres, places)
    else:
        turned = _catmull_rom(_sign_aligned(quaternions), places)
        moved = _catmull_rom(centres, places)
    cameras = _cameras(
        matrices_from_quaternions(turned),
        moved,
        _lerp(inputs.intrinsics.double().flatten(1), places).unflatten(1, (3, 3)),
        inputs,
    )
    return cameras, places


def orbit(
    inputs: Cameras,
    count: int,
    *,
    degrees: float,
    near: float | None,
    far: float | None,
    radius: float = 1.0,
) -> Cameras:
    """Circle around what the inputs look at, starting at the first input, looking at the centre.

    degrees: the whole angle; the i-th of N cameras stands at ``i / N`` of it, so that a full circle
    closes without a repeated frame. The axis is the inputs' mean up direction. radius: factor of
        the first input's distance.
    """
    focus = focus_point(inputs, near, far)
    up = _mean_up(inputs)
    offset = (inputs.centres[0].double() - focus) * radius
    angles = torch.deg2rad(torch.arange(count, dtype=torch.float64) * (degrees / count))
    along = (offset @ up) * up
    across = offset - along
    sideways = torch.linalg.cross(up, across)
    centres = focus + along + angles.cos()[:, None] * across + angles.sin()[:, None] * sideways
    return _cameras(_look_at(centres, focus, up), centres, _repeat(inputs, count), inputs)


def spiral(
    inputs: Cameras,
    count: int,
    *,
    near: float | None,
    far: float | None,
    loops: float = 2.0,
    radius: float = 1.0,
) -> Cameras:
    """A spiral around the inputs' mean pose, looking at their common focus.

    The radii are the 90 % quantiles of the inputs' offsets from the mean along its axes (as for
    forward-facing captures in LLFF), sideways and up at least 5 % of the distance to the focus;
    ``radius`` is a factor of them.
    """
    centre, axes, focus, up = _mean_view(inputs, near, far)
    distance = (focus - centre).norm()
    offsets = (inputs.centres.double() - centre) @ axes
    radii = torch.quantile(offsets.abs(), 0.9, dim=0)
    radii[:2] = torch.maximum(radii[:2], 0.05 * distance)
    angle = 2 * math.pi * loops * torch.arange(count, dtype=torch.float64) / count
    local = torch.stack([angle.cos(), -angle.sin(), -(angle / 2).sin()], dim=1) * radii * radius
    centres = centre + local @ axes.T
    return _cameras(_look_at(centres, focus, up), centres, _repeat(inputs, count), inputs)


def lemniscate(
    inputs: Cameras,
    count: int,
    *,
    near: float | None,
    far: float | None,
    loops: float = 1.0,
    radius: float = 0.15,
) -> Cameras:
    """A figure of eight across the inputs' mean view, looking at their common focus.

    radius: half its width, as a share of the distance to the focus; it is half as high.
    """
    centre, axes, focus, up = _mean_view(inputs, near, far)
    angle = 2 * math.pi * loops * torch.arange(count, dtype=torch.float64) / count
    across, upwards = angle.sin(), -angle.sin() * angle.cos()
    local = torch.stack([across, upwards, torch.zeros_like(across)], dim=1)
    centres = centre + (radius * (focus - centre).norm() * local) @ axes.T
    return _cameras(_look_at(centres, focus, up), centres, _repeat(inputs, count), inputs)


def _mean_view(
    inputs: Cameras, near: float | None, far: float | None
) -> tuple[Float[Tensor, "3"], Float[Tensor, "3 3"], Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Centre, axes, focus straight ahead, and up of the inputs' mean camera."""
    rotations = inputs.world_from_camera[:, :3, :3].double()
    up = _mean_up(inputs)
    centre = inputs.centres.double().mean(dim=0)
    forward = _unit(rotations[:, :, 2].mean(dim=0), rotations[0, :, 2])
    focus = centre + (focus_point(inputs, near, far) - centre).norm() * forward
    return centre, _look_at(centre[None], focus, up)[0], focus, up


def focus_point(inputs: Cameras, near: float | None, far: float | None) -> Float[Tensor, "3"]:
    """Return the point the inputs look at, float64 world coordinates.

    It is the least-squares meeting point of their optical axes. Where they are almost parallel or
    it lies behind a camera, it is the point straight ahead of the mean camera at the depth
    ``1 / (0.75 / near + 0.25 / far)`` (LLFF's rule), without a depth range at four times the widest
    spacing of the inputs, and at distance 1 for a single input.
    """
    centres = inputs.centres.double()
    forward = inputs.world_from_camera[:, :3, 2].double()
    across = torch.eye(3, dtype=torch.float64) - forward[:, :, None] * forward[:, None, :]
    if float(torch.linalg.eigvalsh(across.mean(dim=0))[0]) > _PARALLEL:
        moments = (across @ centres[:, :, None]).mean(dim=0)[:, 0]
        point = torch.linalg.solve(across.mean(dim=0), moments)
        if bool((((point - centres) * forward).sum(dim=1) > 0).all()):
            return point
    spacing = float(torch.cdist(centres, centres).max())
    if near is not None and far is not None:
        distance = 1 / (0.75 / near + 0.25 / far)
    else:
        distance = 4 * spacing if spacing > 0 else 1.0
    return centres.mean(dim=0) + distance * _unit(forward.mean(dim=0), forward[0])


def _cameras(
    rotations: Float[Tensor, "T 3 3"],
    centres: Float[Tensor, "T 3"],
    intrinsics: Float[Tensor, "T 3 3"],
    like: Cameras,
) -> Cameras:
    poses = torch.eye(4, dtype=torch.float64).repeat(len(centres), 1, 1)
    poses[:, :3, :3] = rotations
    poses[:, :3, 3] = centres
    return Cameras(
        world_from_camera=poses.float(), intrinsics=intrinsics.float(), image_size=like.image_size
    )


def _repeat(inputs: Cameras, count: int) -> Float[Tensor, "T 3 3"]:
    return inputs.intrinsics[:1].expand(count, 3, 3)


def _mean_up(inputs: Cameras) -> Float[Tensor, "3"]:
    """World direction of the image's upward axis (-y), averaged over the inputs."""
    ups = -inputs.world_from_camera[:, :3, 1].double()
    return _unit(ups.mean(dim=0), ups[0])


def _unit(vector: Float[Tensor, "3"], fallback: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """The direction of ``vector``, or of ``fallback`` when opposite views cancel out."""
    chosen = vector if float(vector.norm()) > 1e-6 else fallback
    return chosen / chosen.norm()


def _look_at(
    centres: Float[Tensor, "T 3"], focus: Float[Tensor, "3"], up: Float[Tensor, "3"]
) -> Float[Tensor, "T 3 3"]:
    """OpenCV camera axes (columns x right, y down, z forward) that look at ``focus``."""
    z = torch.nn.functional.normalize(focus - centres, dim=1)
    right = torch.linalg.cross(z, up.expand_as(z))
    # Straight up or down there is no horizon; any direction across serves.
    steep = right.norm(dim=1, keepdim=True) < 1e-6
    spare = torch.linalg.cross(z, z.roll(1, dims=1) + z.new_tensor([1.0, 0.5, 0.25]))
    x = torch.nn.functional.normalize(torch.where(steep, spare, right), dim=1)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=2)


def _lerp(values: Float[Tensor, "N D"], places: Float[Tensor, " T"]) -> Float[Tensor, "T D"]:
    first = places.floor().long().clamp(max=len(values) - 2)
    weight = (places - first)[:, None]
    return (1 - weight) * values[first] + weight * values[first + 1]


def _catmull_rom(values: Float[Tensor, "N D"], places: Float[Tensor, " T"]) -> Float[Tensor, "T D"]:
    """Cubic spline through all values; one-sided differences at the two ends."""
    slopes = torch.gradient(values, dim=0)[0]
    first = places.floor().long().clamp(max=len(values) - 2)
    u = (places - first)[:, None]
    return (
        (1 + 2 * u) * (1 - u) ** 2 * values[first]
        + u * (1 - u) ** 2 * slopes[first]
        + u**2 * (3 - 2 * u) * values[first + 1]
        - u**2 * (1 - u) * slopes[first + 1]
    )


def _sign_aligned(quaternions: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Flip signs so that neighbours are less than half a turn apart."""
    aligned = [quaternions[0]]
    for quaternion in quaternions[1:]:
        aligned.append(-quaternion if float(torch.dot(quaternion, aligned[-1])) < 0 else quaternion)
    return torch.stack(aligned)
