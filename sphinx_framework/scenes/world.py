"""In which world the poses of a separate file stand: the scene file's, or the one it came from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.scenes.json_fields import Fields, read_json_object
from sphinx_framework.scenes.transform_frames import inverse_applied, is_moved

_SAME = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The world of a scene file with an ``applied_transform``.

    where: the scene file. undo: what undoes its transform. matrices: its poses as written.
    """

    where: str
    undo: Float[Tensor, "4 4"]
    matrices: Float[Tensor, "F 3 4"]

    def applied_for(self, top: Fields) -> tuple[Float[Tensor, "4 4"] | None, tuple[str, ...]]:
        """What to undo in a file of poses, and what to say about it.

        A file with an ``applied_transform`` of its own says it itself. One whose poses are among
        the scene's, as written or undone, shows it. Any other is taken to be cut from the scene
        file, as paths made in viewers are, with a warning.
        """
        if is_moved(top):
            return None, ()
        if "frames" not in top and "camera_path" not in top:
            return None, ()  # cameras.json knows no such transform; its poses are as they are.
        told = (
            f"{top.where}: has no 'applied_transform', but {self.where} has one; its poses are "
            "taken to be in the world of that file"
        )
        poses = _poses(top)
        if _shared(poses, self.matrices):
            return self.undo, ()
        undone = (self.undo @ _square(self.matrices))[:, :3]
        return (None, ()) if _shared(poses, undone) else (self.undo, (told,))


def scene_world(path: Path) -> World | None:
    """The world of a ``transforms.json``; ``None`` when nothing was applied to it."""
    top = read_json_object(path)
    if not is_moved(top):
        return None
    return World(where=str(path), undo=inverse_applied(top), matrices=_poses(top))


def _poses(top: Fields) -> Float[Tensor, "F 3 4"]:
    frames = top.objects("frames") if "frames" in top else []
    found = [frame.matrix("transform_matrix", ((4, 4), (3, 4)))[:3] for frame in frames]
    return torch.stack(found) if found else torch.zeros(0, 3, 4, dtype=torch.float64)


def _square(poses: Float[Tensor, "F 3 4"]) -> Float[Tensor, "F 4 4"]:
    bottom = poses.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(poses), 1, 4)
    return torch.cat([poses, bottom], dim=1)


def _shared(first: Float[Tensor, "A 3 4"], second: Float[Tensor, "B 3 4"]) -> bool:
    """Whether any pose stands in both, translation included."""
    if not len(first) or not len(second):
        return False
    gaps = torch.cdist(first.flatten(1), second.flatten(1), p=float("inf"))
    scale = max(1.0, float(second[:, :, 3].abs().max()))
    return bool((gaps.min(dim=1).values < _SAME * scale).any())
