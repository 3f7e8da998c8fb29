"""Photos without cameras: reading them, and the scene that estimated cameras make of them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.geometry.resize import fit_images, fit_intrinsics
from sphinx_framework.protocols import PoseEstimator
from sphinx_framework.scenes.colmap_places import find_model
from sphinx_framework.scenes.exif import common_focal
from sphinx_framework.scenes.files import (
    HEIC_ENDINGS,
    OTHER_PICTURES,
    PHOTO_ENDINGS,
    is_hidden,
    natural_key,
)
from sphinx_framework.scenes.images import read_image
from sphinx_framework.scenes.llff import POSES_FILE
from sphinx_framework.scenes.mask_files import mask_of, masks_note
from sphinx_framework.scenes.photo_checks import transparency_note
from sphinx_framework.scenes.photos import CAMERAS_FILE
from sphinx_framework.scenes.pose_answers import guarded
from sphinx_framework.scenes.re10k import find_re10k
from sphinx_framework.scenes.transforms import TRAIN_FILE, TRANSFORMS_FILE
from sphinx_framework.scenes.video import FRAMES, is_video, write_frames
from sphinx_framework.texts import counted
from sphinx_framework.types import Cameras, PhotoHints, Scene

# No model here takes larger photos, and no pose needs them.
LONGEST = 2048
_MOST_NAMED = 6
# A folder with one of these has cameras.
_POSED = (TRANSFORMS_FILE, TRAIN_FILE, CAMERAS_FILE, POSES_FILE)
# Where photos lie that are not directly in the folder.
_INNER = "images"


def photo_files(path: Path) -> list[Path]:
    """Photos of a folder, ``b9`` before ``b10``; empty when it has cameras or is none.

    They lie directly in it, else in ``images`` below it. Hidden files, such as macOS's
    ``._a.jpg``, are none.
    """
    if not path.is_dir() or any((path / mark).exists() for mark in _POSED):
        return []
    if find_model(path) is not None or find_re10k(path) is not None:
        return []
    files = _photos_in(path)
    return files if files or not (path / _INNER).is_dir() else _photos_in(path / _INNER)


def _photos_in(folder: Path) -> list[Path]:
    endings = (*PHOTO_ENDINGS, *HEIC_ENDINGS)
    named = [f for f in folder.iterdir() if f.suffix.lower() in endings and not is_hidden(f)]
    files = [file for file in named if not file.is_dir()]
    return sorted(files, key=lambda file: natural_key(file.name))


def unused_note(files: Sequence[Path]) -> str:
    """What is said of pictures of other kinds among photos; empty where there are none."""
    if not files:
        return ""
    others = [
        file.name
        for file in sorted(files[0].parent.iterdir())
        if file.suffix.lower() in OTHER_PICTURES and not is_hidden(file)
    ]
    if not others:
        return ""
    named = ", ".join(map(shown, others[:_MOST_NAMED])) + (", ..." if others[_MOST_NAMED:] else "")
    return (
        f"{shown(files[0].parent)}: {counted(len(others), 'picture')} of a kind that is not read: "
        f"{named}; export them as JPEG or PNG"
    )


@contextmanager
def unposed_photos(path: Path, frames: int | None = None) -> Iterator[list[Path]]:
    """The photos of a folder, or ``frames`` frames of a video; none of a scene with cameras.

    The frames of a video (``FRAMES`` where no number is asked for) lie in a folder that is gone
    afterwards. Raises :class:`SceneError` for a number of frames of what is no video.
    """
    if not is_video(path):
        if frames is not None and path.exists():
            raise SceneError(
                f"{shown(path)}: is no video, and --frames says how many of its frames to take.",
                hint="Leave --frames out: all photos of a folder are taken.",
            )
        yield photo_files(path)
        return
    with tempfile.TemporaryDirectory(prefix="sphinx-frames-") as folder:
        yield write_frames(path, Path(folder), FRAMES if frames is None else frames)


def frames_note(path: Path, taken: int, asked: int | None) -> str:
    """What is said of a video with fewer frames than were asked for; empty where it has them."""
    if asked is None or taken >= asked:
        return ""
    return f"{shown(path)}: has only {counted(taken, 'usable frame')}, not the {asked} of --frames"


def refuse_split(path: Path, split: object) -> None:
    """Refuse a split of photos without cameras: all of them are inputs.

    Raises:
        SceneError: one is asked for.
    """
    if split is not None:
        raise SceneError(
            f"{shown(path)}: --split {shown(split)} chooses among posed photos, and these have no "
            "cameras: all of them are inputs.",
            hint="Leave --split out.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoStack:
    """Photos of one size, upright, scaled down where they are large.

    size: (height, width) of the files, upright. hints: what the files say, for ``images``.
    notes: what of the files is not used.
    """

    images: Float[Tensor, "N 3 H W"]
    size: tuple[int, int]
    hints: PhotoHints
    notes: tuple[str, ...]


def read_photo_stack(files: Sequence[Path], *, longest: int = LONGEST) -> PhotoStack:
    """Read photos of one size, at most ``longest`` pixels along their longer side.

    The files are not asked again: those of a video are gone when its cameras are estimated.

    Raises:
        SceneError: no photos, an unreadable one, or one that differs in size.
    """
    if not files:
        raise SceneError("there are no photos to read.", hint="Give image files or a folder.")
    images: list[Tensor] = []
    size: tuple[int, int] | None = None
    for file in files:
        image = read_image(file)
        height, width = int(image.shape[-2]), int(image.shape[-1])
        if size is None:
            size = height, width
        if (height, width) != size:
            raise SceneError(
                f"{file}: is {width}x{height} (width x height), but {files[0].name} is "
                f"{size[1]}x{size[0]}.",
                hint="Photos without cameras must share one size.",
            )
        images.append(fit_images(image[None], reduced_size(size, longest), "stretch")[0])
    assert size is not None
    stack = torch.stack(images)
    focal = common_focal(files)
    scale = max(stack.shape[-2:]) / max(size)
    hints = PhotoHints(
        names=tuple(file.name for file in files), focal=None if focal is None else focal * scale
    )
    masks = masks_note([mask_of(file) for file in files])
    told = (unused_note(files), masks, transparency_note(files))
    return PhotoStack(images=stack, size=size, hints=hints, notes=tuple(filter(None, told)))


def posed_scene(photos: PhotoStack, estimator: PoseEstimator, name: str) -> Scene:
    """All photos as inputs with their estimated cameras; targets are chosen afterwards."""
    found = guarded(estimator).estimate_poses(photos.images, hints=photos.hints)
    return Scene(
        images=photos.images,
        inputs=found.cameras,
        targets=found.cameras[[]],
        name=name,
        near=found.near,
        far=found.far,
        order=None,
        warnings=(*photos.notes, *found.warnings),
    )


def file_cameras(photos: PhotoStack, scene: Scene) -> Cameras:
    """The estimated cameras for the pixels of the files."""
    reduced = scene.inputs.image_size
    return replace(
        scene.inputs,
        intrinsics=torch.stack(
            [fit_intrinsics(k, reduced, photos.size, "stretch") for k in scene.inputs.intrinsics]
        ),
        image_size=photos.size,
    )


def reduced_size(size: tuple[int, int], longest: int = LONGEST) -> tuple[int, int]:
    """(height, width) with at most ``longest`` pixels along the longer side, at least one each."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
