"""Inputs and results as a nerfstudio data set, from which splatfacto trains as it is."""

import json
from pathlib import Path

import numpy as np
import torch

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.output.training_set import (
    Points,
    picture_names,
    scene_points,
    training_cameras,
    write_pictures,
)
from sphinx_framework.output.transforms import write_transforms

POINTS = "points.ply"


def write_nerfstudio(folder: Path, result: RenderResult) -> None:
    """Write ``images/``, ``transforms.json`` and, where depth is known, ``points.ply``."""
    write_pictures(folder / "images", result)
    points = scene_points(result)
    path = folder / "transforms.json"
    names = [f"images/{name}" for name in picture_names(result)]
    write_transforms(path, training_cameras(result), file_paths=names)
    if points is not None:
        _write_points(folder / POINTS, points)
        content = json.loads(path.read_text(encoding="utf-8"))
        content = {"ply_file_path": POINTS, **content}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _write_points(path: Path, points: Points) -> None:
    """A coloured point cloud as binary PLY, in the world of the poses beside it."""
    exact = "<f8" if points.places.dtype == torch.float64 else "<f4"
    layout = [(axis, exact) for axis in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    rows = np.zeros(len(points.places), np.dtype(layout))
    colours = (points.colours.clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    for index, axis in enumerate("xyz"):
        rows[axis] = points.places[:, index].numpy()
    for index, name in enumerate(("red", "green", "blue")):
        rows[name] = colours[:, index]
    kinds = {"<f4": "float", "<f8": "double", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property {kinds[kind]} {name}" for name, kind in layout] + ["end_header\n"]
    path.write_bytes("\n".join(header).encode("ascii") + rows.tobytes())
