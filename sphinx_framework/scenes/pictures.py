"""The chosen photos of a capture at one size: one is held in full at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import fit_images
from sphinx_framework.scenes.capture import Shot, checked_size, read_photo
from sphinx_framework.scenes.images import Photo, read_header
from sphinx_framework.scenes.memory import check_memory


@dataclass(slots=True, kw_only=True)
class Pictures:
    """Reads and fits photos; one that several shots name is read once."""

    canvas: tuple[int, int]
    fit: str
    max_pixels: int
    _known: dict[Photo, Float[Tensor, "1 3 h w"]] = field(default_factory=dict)

    def of(self, shots: Sequence[Shot]) -> Float[Tensor, "V 3 h w"]:
        """The photos of shots that have their files."""
        return torch.cat([self._one(shot, shot.file) for shot in shots if shot.file is not None])

    def _one(self, shot: Shot, file: Photo) -> Float[Tensor, "1 3 h w"]:
        if any(shot.distortion.values()):  # undone as the shot's own lens says
            return self._fitted(shot, file)
        if file not in self._known:
            self._known[file] = self._fitted(shot, file)
        return self._known[file]

    def _fitted(self, shot: Shot, file: Photo) -> Float[Tensor, "1 3 h w"]:
        return fit_images(read_photo(shot, file, self.max_pixels)[None], self.canvas, self.fit)


def read_pictures(
    inputs: Sequence[Shot],
    targets: Sequence[Shot],
    size: tuple[int, int] | None,
    fit: str,
    max_pixels: int,
) -> tuple[
    Float[Tensor, "V 3 h w"], Float[Tensor, "T 3 h w"] | None, tuple[int, int], tuple[str, ...]
]:
    """Input photos, ground truth where every target has its file, the files' size, and doubts.

    Raises:
        SceneError: a missing or unreadable input, sizes that cannot be reconciled, or more pictures
            than there is memory for.
    """
    sizes = [input_size(shot, max_pixels) for shot in inputs]
    present = [shot for shot in targets if shot.file is not None and shot.file.is_file()]
    complete = bool(present) and len(present) == len(targets)
    if size is None:
        _require_one_size(inputs, sizes)
        check_memory(len(inputs) + len(present) * complete, sizes[0])
    pictures = Pictures(canvas=size or sizes[0], fit=fit, max_pixels=max_pixels)
    images = pictures.of(inputs)
    if complete:
        return images, pictures.of(targets), sizes[0], ()
    told = f"ground truth exists for {len(present)} of {len(targets)} targets and is not used"
    return images, None, sizes[0], (told,) if present else ()


def input_size(shot: Shot, max_pixels: int) -> tuple[int, int]:
    """The (height, width) of an input's photo, which must be there and fit its camera."""
    if shot.file is None:
        raise SceneError(
            f"{shot.where}: is an input but names no image file.",
            hint="Inputs need a photo; choose other inputs with --split.",
        )
    try:
        header = read_header(shot.file, max_pixels=max_pixels)
    except SceneError as error:
        raise SceneError(f"{shot.where}: {error.message}", hint=error.hint) from error
    return checked_size(shot, header)


def _require_one_size(shots: Sequence[Shot], sizes: Sequence[tuple[int, int]]) -> None:
    for shot, size in zip(shots, sizes, strict=True):
        if size != sizes[0]:
            raise SceneError(
                f"{shot.where}: the image is {size[1]}x{size[0]} (width x height), "
                f"but the first input is {sizes[0][1]}x{sizes[0][0]}.",
                hint="Give a size to fit all images to.",
            )
