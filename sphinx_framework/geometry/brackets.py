"""Where targets lie among the inputs, and how far apart cameras are."""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.geometry.rotations import rotation_angles
from sphinx_framework.types import Bracket, Cameras, Scene


def camera_distances(targets: Cameras, inputs: Cameras) -> Float[Tensor, "T N"]:
    """Distance of centres in units of the inputs' spread, plus the rotation angle in radians."""
    gaps = torch.cdist(targets.centres.double(), inputs.centres.double())
    spread = torch.cdist(inputs.centres.double(), inputs.centres.double()).max()
    spread = spread if float(spread) > 0 else gaps.max().clamp(min=1e-12)
    angles = rotation_angles(
        targets.world_from_camera[:, None, :3, :3].double(),
        inputs.world_from_camera[None, :, :3, :3].double(),
    )
    return (gaps / spread + angles).float()


def brackets(scene: Scene) -> tuple[Bracket, ...]:
    """Bracketing inputs and true position of every target (for paper eq. 2).

    A scene with an order brackets along it; otherwise the two nearest inputs by camera distance
    bracket, and the position is the share of the distance to the nearer-indexed one.
    """
    num_inputs, num_targets = len(scene.inputs), len(scene.targets)
    if num_inputs == 1:
        return tuple(Bracket(left=0, right=0, position=0.0) for _ in range(num_targets))
    if scene.order is not None:
        return tuple(
            _bracket_in_order(scene.order[:num_inputs], place) for place in scene.order[num_inputs:]
        )
    distances = camera_distances(scene.targets, scene.inputs)
    found = []
    for row in distances:
        left, right = sorted(int(i) for i in row.topk(2, largest=False).indices)
        whole = float(row[left] + row[right])
        found.append(
            Bracket(left=left, right=right, position=float(row[left]) / whole if whole > 0 else 0.0)
        )
    return tuple(found)


def _bracket_in_order(inputs: tuple[float, ...], place: float) -> Bracket:
    ranked = sorted(range(len(inputs)), key=inputs.__getitem__)
    after = next((i for i, index in enumerate(ranked) if inputs[index] >= place), len(ranked) - 1)
    after = max(after, 1)
    left, right = ranked[after - 1], ranked[after]
    span = inputs[right] - inputs[left]
    position = (place - inputs[left]) / span if span > 0 else 0.0
    return Bracket(left=left, right=right, position=min(1.0, max(0.0, position)))
