"""One consistency check for every reader: what the cameras of a scene say about each other."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.frusta import focus_behind, overlaps
from sphinx_framework.types import Cameras, Scene
from sphinx_framework.types.origin import DOUBTFUL, rounding

_WIDEST = 0.04  # focal length over width at a field of view of 171 degrees
_OFF_CENTRE = 0.25
_MOST_NAMED = 8
_FAR_AWAY = 10
# Of the depth: below a hundredth, a point moves by few pixels between the photos.
_LEAST_BASELINE = 0.01
# Scene units: what several components take for no distance at all.
_LEAST_UNITS = 1e-5
_LOOK = "Check where they look, their convention (--convention), and that both are in one world."


def check_intrinsics(
    where: str, k: Float[Tensor, "3 3"], size: tuple[int, int], *, stated: bool
) -> tuple[str, ...]:
    """Refuse intrinsics that cannot be those of an image, and warn about doubtful ones.

    k: in pixels of the image; size: its (height, width). stated: whether the file says for which
    size its intrinsics are; where not, another size is the first suspicion.

    Raises:
        SceneError: a principal point outside of the image, or a focal length of almost nothing.
    """
    height, width = size
    fx, fy, cx, cy = (float(k[r, c]) for r, c in ((0, 0), (1, 1), (0, 2), (1, 2)))
    hint = "Intrinsics and image must describe the same picture; 'w' and 'h' say which size it has."
    if not (0 <= cx <= width and 0 <= cy <= height):
        raise SceneError(
            f"{where}, 'cx', 'cy': the principal point ({cx:.6g}, {cy:.6g}) lies outside of the "
            f"{width}x{height} image (width x height).",
            hint=hint,
        )
    if 0 < fx < _WIDEST * width or 0 < fy < _WIDEST * height:
        raise SceneError(
            f"{where}, 'fl_x': a focal length of {fx:.4g} pixels is none for an image of "
            f"{width}x{height} (width x height).",
            hint=hint,
        )
    off = max(abs(cx / width - 0.5), abs(cy / height - 0.5))
    if off > _OFF_CENTRE and not stated:
        return (
            f"{where}, 'cx', 'cy': the principal point ({cx:.6g}, {cy:.6g}) is far from the middle "
            f"of the {width}x{height} image; are the intrinsics for another size?",
        )
    return ()


def check_range(near: float | None, far: float | None, where: str = "") -> None:
    """Refuse a depth range of which one end is missing, or that is none.

    where: the file that states it; empty for what the user asks for.

    Raises:
        SceneError: naming the file and the keys.
    """
    place = f"{where}, 'near', 'far': " if where else ""
    if (near is None) != (far is None):
        raise SceneError(f"{place}give both near and far, or neither.")
    if near is not None and far is not None and not 0 < near < far:
        raise SceneError(
            f"{place}the depth range must satisfy 0 < near < far, got near={near:g}, far={far:g}."
        )


def checked(scene: Scene) -> Scene:
    """The scene with warnings about cameras that do not fit together.

    Raises:
        SceneError: none of the targets sees anything of what any input saw.
    """
    blind = blind_targets(scene.inputs, scene.targets, scene.near, scene.far)
    if blind and len(blind) == len(scene.targets):
        raise SceneError(_blind_text(blind, len(scene.targets)), hint=_LOOK)
    doubts = camera_doubts(scene.inputs, scene.targets, scene.near, scene.far)
    return replace(scene, warnings=(*scene.warnings, *doubts))


def blind_targets(
    inputs: Cameras, targets: Cameras, near: float | None, far: float | None
) -> list[int]:
    """The targets that see nothing of what any input saw, by their view volumes."""
    if not len(targets):
        return []
    seen = overlaps(targets, inputs, near, far).any(dim=1)
    return [int(index) for index in (~seen).nonzero()[:, 0]]


def _blind_text(blind: list[int], count: int) -> str:
    if len(blind) == count:
        return (
            f"none of the {count} targets sees anything of what the inputs saw: it lies behind "
            "them or beside their view."
        )
    named = ", ".join(map(str, blind[:_MOST_NAMED])) + (", ..." if blind[_MOST_NAMED:] else "")
    return f"{len(blind)} of {count} targets see nothing of what the inputs saw: {named}"


@torch.no_grad()  # poses of a host's own may record gradients
def camera_doubts(
    inputs: Cameras, targets: Cameras, near: float | None, far: float | None
) -> tuple[str, ...]:
    """What is doubtful about cameras, one sentence each."""
    return (*precision_doubts(inputs, targets, near), *_views(inputs, targets, near, far))


def _units(inputs: Cameras, targets: Cameras) -> list[str]:
    """Cameras that stand apart by less than components tell from nothing."""
    centres = torch.cat([inputs.centres, targets.centres]).double()
    widest = float(torch.cdist(centres, centres).max())
    if not 0 < widest < _LEAST_UNITS:
        return []
    return [
        f"all cameras are within {widest:.3g} of each other, in scene units: components take less "
        f"than about {_LEAST_UNITS:g} for nothing; scale the scene up, near and far too"
    ]


def _baseline(inputs: Cameras, near: float | None, far: float | None) -> list[str]:
    """Inputs so close together that no depth shows, or so far apart that little is in both."""
    if len(inputs) < 2:
        return []
    apart = torch.cdist(inputs.centres.double(), inputs.centres.double())
    widest = float(apart.max())
    if widest == 0:
        return ["all inputs stand at one point, from where no depth can be told"]
    if near is None or far is None:
        return []
    nearest = float(
        apart.masked_fill(torch.eye(len(inputs), dtype=torch.bool), torch.inf).amin(1).max()
    )
    middle = 2 / (1 / near + 1 / far)
    if widest < _LEAST_BASELINE * middle:
        return [
            f"the inputs are at most {widest:.3g} apart and look at things about {middle:.3g} "
            "away: too close together to tell depth; take photos farther apart"
        ]
    if nearest > middle:
        return [
            f"an input is {nearest:.3g} from the next one and looks at things about {middle:.3g} "
            "away: little will be seen in both; add photos in between"
        ]
    return []


def _far_targets(inputs: Cameras, targets: Cameras) -> list[str]:
    """Targets far from all inputs, as those of a file in another world or scale are."""
    if len(inputs) < 2 or not len(targets):
        return []
    spread = float(torch.cdist(inputs.centres.double(), inputs.centres.double()).max())
    away = float(torch.cdist(targets.centres.double(), inputs.centres.double()).amin(1).max())
    if spread == 0 or away <= _FAR_AWAY * spread:
        return []
    return [
        f"a target is {away:.3g} from the nearest input, and the inputs are at most {spread:.3g} "
        "apart: are both in one world, and in one scale?"
    ]


def precision_doubts(inputs: Cameras, targets: Cameras, near: float | None) -> tuple[str, ...]:
    """Whether what is left of the digits between two cameras still places pixels."""
    return rounding_doubts(inputs.world_from_camera, targets.world_from_camera, near)


def rounding_doubts(
    inputs: Float[Tensor, "N 4 4"], targets: Float[Tensor, "T 4 4"], near: float | None
) -> tuple[str, ...]:
    """The same of poses, in their own precision."""
    step, extent, farthest = rounding(inputs, targets, near)
    if step <= DOUBTFUL * extent:
        return ()
    single = any(poses.dtype == torch.float32 for poses in (inputs, targets))
    precision, remedy = (
        ("single", "give their poses in double precision")
        if single
        else ("double", "subtract one point of the scene from all of them")
    )
    return (
        f"the cameras are up to {farthest:.4g} from the origin, where {precision} precision has "
        f"steps of {step:.2g}: it cannot tell them apart well; {remedy}",
    )


def _views(
    inputs: Cameras, targets: Cameras, near: float | None, far: float | None
) -> tuple[str, ...]:
    told = []
    if focus_behind(inputs):
        told.append(
            "the inputs' optical axes meet behind all of the cameras: are the poses in another "
            "convention? (--convention opengl_c2w, opengl_w2c, opencv_c2w or opencv_w2c)"
        )
    if len(inputs) > 1:
        pairs = overlaps(inputs, inputs, near, far)
        pairs.fill_diagonal_(False)
        alone = [int(index) for index in (~pairs.any(dim=1)).nonzero()[:, 0]]
        if len(alone) == len(inputs):
            told.append("no two inputs look at anything in common")
        elif alone:
            named = ", ".join(map(str, alone[:_MOST_NAMED]))
            told.append(f"inputs that look at nothing in common with any other: {named}")
    told += _units(inputs, targets)
    told += _baseline(inputs, near, far)
    told += _far_targets(inputs, targets)
    blind = blind_targets(inputs, targets, near, far)
    if blind:
        told.append(_blind_text(blind, len(targets)))
    return tuple(told)
