"""Write cameras as a nerfstudio ``transforms.json`` that :mod:`.transforms` reads back exactly."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sphinx_framework.errors import JobError
from sphinx_framework.types import Cameras
from sphinx_framework.types.origin import NO_MOVE, Origin, moved


def write_transforms(
    path: Path,
    cameras: Cameras,
    *,
    file_paths: Sequence[str] | None = None,
    origin: Origin = NO_MOVE,
) -> None:
    """Write 4x4 OpenGL camera-to-world matrices and pixel intrinsics, one frame per camera.

    Numbers are written in full, so float32 cameras survive the round trip bit for bit. Intrinsics
    that all frames share stand at the top level, others in each frame.

    Args:
        path: the file to write.
        cameras: OpenCV cameras in pixels of their image size.
        file_paths: image of every camera, relative to the file's folder; ``None`` for none.
        origin: added to the centres in double precision: the world that the scene came from.

    Raises:
        JobError: the number of images differs from the number of cameras.
    """
    if file_paths is not None and len(file_paths) != len(cameras):
        raise JobError(f"{path}: {len(file_paths)} image names for {len(cameras)} cameras.")
    poses = moved(cameras.world_from_camera.detach().cpu(), origin, 1)
    opengl = (poses * poses.new_tensor([1, -1, -1, 1])).tolist()
    intrinsics = [_named(matrix) for matrix in cameras.intrinsics.detach().cpu()]
    height, width = cameras.image_size
    content: dict[str, Any] = {"camera_model": "OPENCV", "w": width, "h": height}
    # Says that nothing has moved these poses, so that a path cut from this file is not taken for
    # one in the world of a scene file that has a transform.
    content["applied_transform"] = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]]
    shared = all(named == intrinsics[0] for named in intrinsics)
    if shared and intrinsics:
        content |= intrinsics[0]
    frames: list[dict[str, Any]] = []
    for index, matrix in enumerate(opengl):
        frame: dict[str, Any] = {} if file_paths is None else {"file_path": file_paths[index]}
        frames.append(frame | ({} if shared else intrinsics[index]) | {"transform_matrix": matrix})
    path.write_text(json.dumps(content | {"frames": frames}, indent=1) + "\n", encoding="utf-8")


def _named(matrix: torch.Tensor) -> dict[str, float]:
    return {
        "fl_x": float(matrix[0, 0]),
        "fl_y": float(matrix[1, 1]),
        "cx": float(matrix[0, 2]),
        "cy": float(matrix[1, 2]),
    }
