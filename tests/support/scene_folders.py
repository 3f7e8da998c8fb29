"""Small scene folders on disk, shared by the tests of the readers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sphinx_framework.geometry.rotations import matrices_from_quaternions


def gradient(height: int, width: int) -> np.ndarray:
    """8-bit picture: red grows to the right, green downwards, blue is constant."""
    x = (np.arange(width) + 0.5) / width
    y = (np.arange(height) + 0.5) / height
    image = np.stack(np.broadcast_arrays(x[None, :], y[:, None], 0.25), axis=2)
    return (image * 255).round().astype(np.uint8)


def save_gradient(path: Path, height: int, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(gradient(height, width)).save(path)


def random_poses(count: int, seed: int = 0) -> torch.Tensor:
    """Rigid camera-to-world matrices, float64, OpenCV axes."""
    generator = torch.Generator().manual_seed(seed)
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    quaternions = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    poses[:, :3, :3] = matrices_from_quaternions(quaternions)
    poses[:, :3, 3] = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return poses


def opengl(poses: torch.Tensor) -> list[Any]:
    return (poses * torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)).tolist()


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def transforms_scene(folder: Path, count: int = 5, height: int = 24, width: int = 32) -> dict:
    """Write ``count`` photos and a nerfstudio ``transforms.json``; return its content."""
    names = [f"images/{i:03d}.png" for i in range(count)]
    for name in names:
        save_gradient(folder / name, height, width)
    matrices = opengl(random_poses(count))
    content = {
        "fl_x": 30.0,
        "fl_y": 31.0,
        "cx": 16.5,
        "cy": 11.5,
        "w": width,
        "h": height,
        "frames": [
            {"file_path": name, "transform_matrix": matrix}
            for name, matrix in zip(names, matrices, strict=True)
        ],
    }
    write_json(folder / "transforms.json", content)
    return content
