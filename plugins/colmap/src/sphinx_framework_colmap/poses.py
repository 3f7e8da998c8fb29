"""Cameras of unposed photos: what ``sphinx-nvs import photos/`` calls."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import Cameras, PhotoHints
from sphinx_framework_colmap.config import ColmapConfig
from sphinx_framework_colmap.evidence import said_by_lines
from sphinx_framework_colmap.focal import FoundFocal, find_focal
from sphinx_framework_colmap.mapping import Mapped, map_photos
from sphinx_framework_colmap.matching import Matched, match_photos, read_photos
from sphinx_framework_colmap.pair import map_pair
from sphinx_framework_colmap.polish import polished

# Percentiles of the depths of all points, and how far beyond them near and far are put: points
# stand at corners, surfaces go on.
_PERCENTILES = (1.0, 99.0)
_MARGINS = (0.8, 1.25)
# EXIF is rounded to whole millimetres, and some phones crop.
_EXIF_DIFFERS = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseEstimate:
    """Cameras of the photos.

    cameras: for the photos' own pixels; the world is the first photo's camera, the two cameras
        farthest apart lie one unit apart.
    near, far: depths that hold nearly all points.
    """

    cameras: Cameras
    near: float | None
    far: float | None
    warnings: tuple[str, ...] = ()


class ColmapPoseEstimator:
    """Estimates the poses and the one focal length of photos from one camera."""

    def __init__(self, config: ColmapConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        """Nothing is loaded; the work is done on the CPU, on one thread."""
        self.config = config
        self.device = device

    def estimate_poses(
        self, images: Float[Tensor, "N 3 H W"], *, hints: PhotoHints | None = None
    ) -> PoseEstimate:
        """Cameras of photos with values in [0, 1], without distortion.

        Raises:
            SceneError: fewer than two photos, unusable values, or photos that do not join.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not torch.isfinite(images).all():
            raise SceneError(f"poses need finite photos [N, 3, H, W], got {tuple(images.shape)}.")
        if len(images) < 2:
            raise SceneError(
                "the pose of a single photo means nothing: it takes two from different places.",
                hint="Add a photo of the same place, taken a step to the side.",
            )
        size = (int(images.shape[-2]), int(images.shape[-1]))
        exif = None if hints is None else hints.focal
        found, scale = self._found(images, exif, hints)
        focal = found.model.focal / scale
        warnings = focal_doubts(found, scale, max(size), exif, fixed=self.config.focal is not None)
        poses, unit = _placed(found.model)
        k = torch.tensor([[focal, 0, size[1] / 2], [0, focal, size[0] / 2], [0, 0, 1]])
        cameras = Cameras(
            world_from_camera=torch.from_numpy(poses).float(),
            intrinsics=k.float().repeat(len(images), 1, 1),
            image_size=size,
        )
        near, far = _depths(found.model, unit)
        return PoseEstimate(
            cameras=cameras.to(images.device), near=near, far=far, warnings=warnings
        )

    def _found(
        self, images: Float[Tensor, "N 3 H W"], exif: float | None, hints: PhotoHints | None
    ) -> tuple[FoundFocal, float]:
        """The best model in which all photos take part, and pixels of its photos over ours."""
        photos = (images.detach().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
        best: tuple[FoundFocal, float] | None = None
        for upright in (True, False):
            with tempfile.TemporaryDirectory(prefix="sphinx-poses-") as name:
                matched = match_photos(photos.numpy(), Path(name), self.config, upright=upright)
                found = self._model(matched, exif, len(images))
                if found is not None and (
                    best is None or len(found.model.poses) > len(best[0].model.poses)
                ):
                    best = found, matched.scale
            if best is not None and len(best[0].model.poses) == len(images):
                return best
        joined = () if best is None else sorted(best[0].model.poses)
        raise _apart(len(images), joined, None if hints is None else hints.names)

    def _model(self, matched: Matched, exif: float | None, count: int) -> FoundFocal | None:
        side = float(max(matched.size))
        guess = self.config.guess * side
        if self.config.focal is not None:
            guess = self.config.focal * matched.scale
            model = map_photos(matched, guess, refine=False)
            found = None if model is None else FoundFocal(model=model)
        else:
            stated = None if exif is None else exif * matched.scale
            lines = cache(lambda: said_by_lines(read_photos(matched)))
            found = find_focal(partial(map_photos, matched), side, guess, stated, lines)
            if stated is not None:
                guess = stated
            elif found is None and count == 2 and (built := lines()) is not None:
                guess = built.focal
        if found is None and count == 2:
            pair = map_pair(matched, guess)
            found = None if pair is None else FoundFocal(model=pair, between=(guess, guess))
        if found is not None and count == len(found.model.poses) == 2:
            found = replace(found, model=polished(matched, found.model))
        return found


def _placed(model: Mapped) -> tuple[Float[np.ndarray, "N 4 4"], float]:
    """Poses seen from the first photo, the two farthest apart one unit apart; and that unit."""
    poses = np.stack([model.poses[index] for index in sorted(model.poses)])
    seen = np.linalg.inv(poses[0]) @ poses
    places = seen[:, :3, 3]
    unit = float(np.linalg.norm(places[:, None] - places[None], axis=-1).max())
    seen[:, :3, 3] /= unit
    return seen, unit


def _depths(model: Mapped, unit: float) -> tuple[float | None, float | None]:
    depths = model.depths[model.depths > 0] / unit
    if len(depths) == 0:
        return None, None
    low, high = np.percentile(depths, _PERCENTILES)
    return float(low * _MARGINS[0]), float(high * _MARGINS[1])


def focal_doubts(
    found: FoundFocal, scale: float, side: int, exif: float | None, *, fixed: bool
) -> tuple[str, ...]:
    """What to know about the focal length."""
    focal = found.model.focal / scale
    if fixed:
        return ()
    if found.between is not None and exif is None:
        low, high = (end / scale for end in found.between)
        range_ = f": {low:.0f} to {high:.0f} fit about as well" if high > 1.02 * low else ""
        why = "" if found.turn is None else f", since their views turn by {found.turn:.1f} degrees"
        return (
            f"the photos do not settle their focal length{why}{range_}; {focal:.0f} pixels "
            f"({focal / side:.2f} of the longer side) are taken. Add photos that look from other "
            "directions, or state it (import --set focal=PIXELS; render --set poses.use=colmap "
            "--set poses.focal=PIXELS)",
        )
    if exif is not None and not 1 / _EXIF_DIFFERS < focal / exif < _EXIF_DIFFERS:
        return (
            f"the photos settle on a focal length of {focal:.0f} pixels, but their EXIF says "
            f"{exif:.0f}; were they cropped?",
        )
    return ()


def _apart(count: int, joined: Sequence[int], names: Sequence[str] | None) -> SceneError:
    """Which photos share too little."""
    told = names or [f"photo {index + 1}" for index in range(count)]
    hint = (
        "Photos must show the same things from places a step apart, sharp and with some texture; "
        "add photos in between, or leave those out that show something else."
    )
    if not joined:
        return SceneError(
            f"no cameras can be found: the photos {', '.join(told[:4])}"
            f"{', ...' if count > 4 else ''} overlap too little, or were all taken from one place.",
            hint=hint,
        )
    lost = [told[index] for index in range(count) if index not in joined]
    return SceneError(
        f"only {len(joined)} of {count} photos join: {', '.join(lost)} "
        f"{'overlaps' if len(lost) == 1 else 'overlap'} too little with the others.",
        hint=hint,
    )
