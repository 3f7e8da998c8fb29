"""A scene as the encoder wants it: legal size, normalised intrinsics, a depth range."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_images, rounded_size
from sphinx_framework.types import Scene
from sphinx_framework_mvsplat.config import MVSplatConfig
from sphinx_framework_mvsplat.encoder import ContextViews
from sphinx_framework_mvsplat.shims import crop_to_multiple, rescale_and_crop

DEFAULT_NEAR = 1.0
DEFAULT_FAR = 100.0
SMALLEST_BASELINE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedInputs:
    """What the encoder is given, the depth range in scene units, and what the user should know.

    unit: length of the encoder's unit in scene units.
    """

    views: ContextViews
    near: float
    far: float
    unit: float
    warnings: tuple[str, ...]


def prepare_inputs(scene: Scene, config: MVSplatConfig) -> PreparedInputs:
    """Check a scene and fit its inputs to the encoder.

    Raises:
        SceneError: fewer than two inputs, an unusable depth range, images too small or (under the
            'strict' rule) of an illegal size, or anything :meth:`Scene.validate` finds.
    """
    scene.validate()
    if len(scene.inputs) < 2:
        raise SceneError(
            f"mvsplat needs at least 2 inputs, got {len(scene.inputs)}.",
            hint="Add another posed photo of the place, or choose a single-image regression model.",
        )
    near, far, range_warnings = depth_range(scene, config)
    images, intrinsics, size_warnings = _fitted(scene, config)
    spread = (scene.inputs.centres - scene.inputs.centres[:1]).norm(dim=1).max()
    parallax = (
        ("all inputs were taken from one place: without parallax mvsplat's depth is a guess",)
        if float(spread) < SMALLEST_BASELINE * near
        else ()
    )
    unit = near if config.normalise_scale else 1.0
    poses = scene.inputs.world_from_camera.float().clone()
    poses[:, :3, 3] /= unit
    count = len(scene.inputs)
    views = ContextViews(
        images=images[None],
        world_from_camera=poses[None],
        intrinsics=intrinsics[None],
        near=torch.full((1, count), near / unit, device=images.device),
        far=torch.full((1, count), far / unit, device=images.device),
    )
    return PreparedInputs(
        views=views,
        near=near,
        far=far,
        unit=unit,
        warnings=(*range_warnings, *size_warnings, *parallax),
    )


def depth_range(scene: Scene, config: MVSplatConfig) -> tuple[float, float, tuple[str, ...]]:
    """Return near, far and warnings: the option's values, else the scene's, else 1 and 100.

    The range must fit the unit of the poses. If only one end is known, the other follows by the
    reference's ratio of 100.

    Raises:
        SceneError: the range is not finite, not positive or not ordered.
    """
    near = config.near if config.near is not None else scene.near
    far = config.far if config.far is not None else scene.far
    warnings: tuple[str, ...] = ()
    if near is None or far is None:
        ratio = DEFAULT_FAR / DEFAULT_NEAR
        known = DEFAULT_NEAR if far is None else far / ratio
        near = near if near is not None else known
        far = far if far is not None else near * ratio
        warnings = (
            f"the scene's depth range is not fully known: mvsplat assumes {near:g} to {far:g} "
            "scene units; if depths come out wrong, set near and far in the scene or as options",
        )
    if not (math.isfinite(near) and math.isfinite(far) and 0 < near < far):
        raise SceneError(
            f"the depth range must satisfy 0 < near < far, got near={near:g}, far={far:g}.",
            hint="Correct near and far in the scene, or set them as options of mvsplat.",
        )
    return near, far, warnings


def _fitted(
    scene: Scene, config: MVSplatConfig
) -> tuple[Float[Tensor, "v 3 h w"], Float[Tensor, "v 3 3"], tuple[str, ...]]:
    """Images of legal size, their normalised intrinsics, warnings."""
    source = scene.inputs.image_size
    multiple = config.encoder.legal_multiple
    wanted = config.encode_size or source
    if min(wanted) < multiple:
        raise SceneError(
            f"mvsplat cannot encode {_named(wanted)}: both sides must be at least {multiple}.",
            hint="Use larger photos, or set a larger encode_size.",
        )
    extent = scene.inputs.intrinsics.new_tensor([source[1], source[0], 1])
    intrinsics = (scene.inputs.intrinsics / extent[:, None]).float()
    legal = rounded_size(wanted, multiple_of=multiple)
    if config.size_rule == "strict" and legal != wanted:
        raise SceneError(
            f"mvsplat cannot encode {_named(wanted)}: both sides must be multiples of {multiple}.",
            hint=f"Fit the scene to {_named(legal)}, or use size_rule 'resize' or 'crop'.",
        )
    if config.size_rule == "crop":
        images = scene.images
        if wanted != source:
            images, intrinsics = rescale_and_crop(images, intrinsics, wanted)
        images, intrinsics = crop_to_multiple(images, intrinsics, multiple)
    else:
        images = fit_images(scene.images, legal, "stretch")
    got = images.shape[2], images.shape[3]
    if got == source:
        return images, intrinsics, ()
    return (
        images,
        intrinsics,
        (f"mvsplat encodes the inputs at {_named(got)}, not {_named(source)}",),
    )


def _named(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]} (width x height)"
