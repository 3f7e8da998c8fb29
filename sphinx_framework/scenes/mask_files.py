"""Masks beside photos that no key names: ``masks/`` of COLMAP, instant-ngp's own names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sphinx_framework.scenes.capture import Capture, Shot
from sphinx_framework.texts import counted

_FOLDERS = ("masks", "mask")


def with_masks(capture: Capture) -> Capture:
    """The capture with the masks that lie beside its photos, and a word that nobody uses them."""
    beside = [_beside(shot) for shot in capture.shots]
    count = sum(mask is not None for mask in beside)
    if not count:
        return capture
    shots = [
        shot if m is None else replace(shot, mask=m)
        for shot, m in zip(capture.shots, beside, strict=True)
    ]
    return replace(capture, shots=tuple(shots), warnings=(*capture.warnings, masks_note(beside)))


def masks_note(masks: Sequence[Path | None]) -> str:
    """What is said of masks that were found; empty where there are none."""
    found = [mask for mask in masks if mask is not None]
    if not found:
        return ""
    return f"{found[0].parent}: the masks of {counted(len(found), 'photo')} are not used"


def mask_of(photo: Path) -> Path | None:
    """The mask beside a photo: ``masks/a.jpg.png``, ``masks/a.png``, ``dynamic_mask_a.png``."""
    names = (f"{photo.name}.png", photo.name, f"{photo.stem}.png")
    outer = photo.parent.parent
    places = [outer / folder for folder in _FOLDERS]
    # Photos of several cameras lie one folder deeper, as do their masks.
    places += [outer.parent / folder / photo.parent.name for folder in _FOLDERS]
    candidates = [place / name for place in places if place.is_dir() for name in names]
    candidates.append(photo.with_name(f"dynamic_mask_{photo.stem}.png"))
    return next((path for path in candidates if path != photo and _is_file(path)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a photo's name may be too long for another ending
        return False


def _beside(shot: Shot) -> Path | None:
    if shot.mask is not None or not isinstance(shot.file, Path) or not shot.file.is_file():
        return None
    return mask_of(shot.file)
