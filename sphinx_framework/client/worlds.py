"""In which world the poses of a target file stand, as ``render`` decides it."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sphinx_framework.client.matrices import Affine
from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.json_fields import Fields, read_json_object

_SMALLEST, _LARGEST = 1e-6, 1e6
_SAME = 1e-4


@dataclass(frozen=True, slots=True)
class World:
    """The world of a scene file with an ``applied_transform``.

    where: the scene file. undo: what undoes its transform. poses: as written.
    """

    where: str
    undo: Affine
    poses: list[Affine]

    def undo_for(self, top: Fields) -> tuple[Affine | None, tuple[str, ...]]:
        """What to undo in a file of poses that says nothing itself, and what is doubtful then.

        Poses that are among the scene's, as written or undone, show it; others are taken to be cut
        from the scene file, as paths made in viewers are.
        """
        poses = poses_of(top)
        if _shared(poses, self.poses):
            return self.undo, ()
        if _shared(poses, [self.undo @ pose for pose in self.poses]):
            return None, ()
        return self.undo, (
            f"{top.where}: has no 'applied_transform', but {self.where} has one; its poses are "
            "taken to be in the world of that file",
        )


def world_of(scene: Path) -> World | None:
    """The world of a scene's ``transforms.json``; ``None`` when nothing was applied to it."""
    file = scene / "transforms.json"
    if not file.is_file():
        return None
    top = read_json_object(file)
    undo = own_undo(top)
    return None if undo is None else World(str(file), undo, poses_of(top))


def own_undo(top: Fields) -> Affine | None:
    """What undoes a file's own ``applied_transform`` and ``applied_scale``.

    Raises:
        SceneError: they cannot be undone.
    """
    if "applied_transform" not in top and "applied_scale" not in top:
        return None
    moved = "applied_transform" in top
    applied = Affine.read(top, "applied_transform") if moved else Affine.identity()
    scale = top.number_or_none("applied_scale")
    if scale is not None and not _SMALLEST < scale < _LARGEST:
        raise SceneError(f"{top.where}, 'applied_scale': must be positive, got {scale:g}.")
    applied = applied if scale is None else applied.scaled(scale)
    if abs(applied.determinant) < _SMALLEST**3:
        raise SceneError(f"{top.where}: 'applied_transform' cannot be inverted.")
    return applied.inverse()


def poses_of(top: Fields) -> list[Affine]:
    """The matrices of a file's frames, as written."""
    frames = top.objects("frames") if "frames" in top else []
    return [Affine.read(frame, "transform_matrix") for frame in frames]


def _shared(first: list[Affine], second: list[Affine]) -> bool:
    """Whether any pose stands in both, translation included."""
    scale = max([1.0, *(abs(row[3]) for pose in second for row in pose.rows)])
    theirs = [list(chain(*pose.rows)) for pose in second]
    return any(
        all(abs(a - b) < _SAME * scale for a, b in zip(chain(*one.rows), other, strict=True))
        for one in first
        for other in theirs
    )
