"""A small scene folder: photos of a gradient, ``transforms.json`` and a split."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (32, 40)


def transforms(count: int = 5) -> dict[str, Any]:
    """Cameras on a straight track (nerfstudio convention: OpenGL axes, camera-to-world)."""
    height, width = SIZE
    frames = []
    for index in range(count):
        pose = np.diag([1.0, -1.0, -1.0, 1.0])
        pose[0, 3] = 0.1 * index
        frames.append({"file_path": f"images/{index}.png", "transform_matrix": pose.tolist()})
    return {
        "fl_x": 40.0,
        "fl_y": 40.0,
        "cx": width / 2,
        "cy": height / 2,
        "w": width,
        "h": height,
        "frames": frames,
    }


def write_photo_scene(folder: Path, count: int = 5) -> Path:
    """Write ``count`` frames; the first and the last are inputs, the others targets."""
    height, width = SIZE
    (folder / "images").mkdir(parents=True)
    y, x = np.mgrid[:height, :width]
    for index in range(count):
        photo = np.stack([x * 6, y * 7, np.full_like(x, 40 * index)], axis=2).astype(np.uint8)
        Image.fromarray(photo).save(folder / "images" / f"{index}.png")
    (folder / "transforms.json").write_text(json.dumps(transforms(count)))
    split = {"train_ids": [0, count - 1], "test_ids": list(range(1, count - 1))}
    (folder / "train_test_split_2.json").write_text(json.dumps(split))
    return folder
