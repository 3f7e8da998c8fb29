"""Where a scene's cameras stand when it is made: centred in double, or refused where that is late.

A scene holds float32. Cameras that a host hands over in float64, far from their world's origin,
are moved to it first; ``Scene.origin`` says by how much. Only then: scenes made from scenes hold
float32 and stay in their frame, in which what was computed of them is, too.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.types.cameras import Cameras
from sphinx_framework.types.origin import (
    FAR,
    NO_MOVE,
    TOO_COARSE,
    Origin,
    moved,
    origin_of,
    rounding,
)


def placed(
    inputs: Cameras, targets: Cameras, near: float | None, origin: Origin
) -> tuple[Cameras, Cameras, Origin]:
    """Both in single precision, and where their (0, 0, 0) lies in the caller's world.

    Raises:
        SceneError: their own precision cannot tell the cameras apart.
    """
    poses = inputs.world_from_camera
    if poses.dtype != torch.float64 or poses.is_meta or targets.world_from_camera.is_meta:
        return inputs.single(), targets.single(), origin
    others = targets.world_from_camera
    check_rounding(inputs, targets, near)
    middle = origin_of([*poses.detach().cpu(), *others.detach().cpu()], near)
    if middle == NO_MOVE:
        return inputs.single(), targets.single(), origin
    x, y, z = (old + new for old, new in zip(origin, middle, strict=True))
    near_by = [
        replace(cameras, world_from_camera=moved(cameras.world_from_camera, middle, -1)).single()
        for cameras in (inputs, targets)
    ]
    return near_by[0], near_by[1], (x, y, z)


def check_rounding(inputs: Cameras, targets: Cameras, near: float | None) -> None:
    """Raise :class:`SceneError` where numbers place the cameras too coarsely for any picture."""
    check_rounding_of(inputs.world_from_camera, targets.world_from_camera, near)


def check_rounding_of(
    inputs: Float[Tensor, "N 4 4"],
    targets: Float[Tensor, "T 4 4"],
    near: float | None,
    where: str = "",
) -> None:
    """The same of poses as they are before anything centred them; ``where``: who states them."""
    step, extent, farthest = rounding(inputs, targets, near)
    if not TOO_COARSE * extent < step < math.inf:  # numbers that are none have a check of theirs
        return
    single = any(pose.dtype == torch.float32 for pose in (inputs, targets))
    place = f"{where}: " if where else ""
    raise SceneError(
        f"{place}the cameras are up to {farthest:.4g} from the origin, where "
        f"{'float32' if single else 'float64'} has steps of {step:.2g}: it cannot tell them apart.",
        hint="Give world_from_camera of inputs and targets in float64, as it was before anything "
        "rounded it: it is centred then."
        if single
        else "Subtract one point of the scene from all cameras before they become float64.",
    )


def check_one_world(inputs: Cameras, targets: Cameras, origin: Origin) -> None:
    """Raise :class:`SceneError` where only inputs or only targets are relative to the origin."""
    if origin == NO_MOVE or not len(inputs) or not len(targets):
        return
    there = torch.tensor(origin, dtype=torch.float64)
    ours, theirs = (c.centres.detach().double().cpu() for c in (inputs, targets))
    middle = ours.mean(dim=0)
    extent = float((ours - middle).norm(dim=1).max())
    apart = theirs - middle
    for sign, which, other in ((1, "targets", "inputs"), (-1, "inputs", "targets")):
        left = (apart - sign * there).norm(dim=1)
        if float(there.norm()) > FAR * extent and _closer(left, apart.norm(dim=1)):
            raise SceneError(
                f"the {which} stand about as far from the {other} as the scene's origin "
                f"{tuple(float(f'{value:.6g}') for value in origin)} does from its world's.",
                hint="Cameras of a scene are relative to its origin: subtract Scene.origin from "
                f"the {which}, or make a new Scene of inputs and targets in the world's "
                "coordinates.",
            )


def _closer(left: Float[Tensor, " T"], before: Float[Tensor, " T"]) -> bool:
    return bool((FAR * left < before).any())
