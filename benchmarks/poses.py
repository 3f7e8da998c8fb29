"""Estimated cameras against true ones, over sets of photos of posed captures.

    python benchmarks/poses.py path/to/re10k_room path/to/dl3dv_140 --poses colmap

Every argument is a scene folder in any readable format, whose cameras the estimator does not see.
Sets are evenly spaced photos: all of ``--counts`` with all of ``--strides`` that fit, at the
beginning and at the end of the capture. A row has the largest error over all pairs of a set's
photos: of their relative rotation, and of the direction from one to the other; and the focal
length's. A set that the estimator refuses is a row too, with its words. ``--turns`` estimates
nothing and prints by how many degrees the views of every set turn, by the true cameras.
"""

import argparse
import json
import math
from itertools import permutations
from pathlib import Path
from time import process_time

import torch
from torch import Tensor

from sphinx_framework.config import parse_override
from sphinx_framework.errors import InputError
from sphinx_framework.geometry.rotations import rotation_angles
from sphinx_framework.protocols import PoseEstimator
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import Cameras, Scene

ROTATION, DIRECTION, FOCAL, FROM = 1.5, 5.0, 0.07, 6


def capture(folder: str) -> Scene:
    """All frames of a capture as targets with their photos."""
    scene = load_scene(folder)
    count = len(scene.inputs) + len(scene.targets)
    every = ",".join(str(index) for index in range(count))
    return load_scene(folder, targets=f"indices:{every}")


def sets_of(length: int, counts: list[int], strides: list[int]) -> list[list[int]]:
    """Frame numbers of every set."""
    found = []
    for count in counts:
        for stride in strides:
            last = (count - 1) * stride
            if last < length:
                starts = sorted({0, length - 1 - last})
                found += [[start + stride * i for i in range(count)] for start in starts]
    return found


def errors(found: Cameras, truth: Cameras) -> tuple[float, float, float]:
    """Largest rotation and direction error in degrees over all pairs, and of the focal length."""
    rotation, direction = 0.0, 0.0
    for first, second in permutations(range(len(truth)), 2):
        turns, moves = zip(*(_relative(c, first, second) for c in (found, truth)), strict=True)
        rotation = max(rotation, math.degrees(float(rotation_angles(turns[0], turns[1]))))
        cosine = torch.nn.functional.cosine_similarity(moves[0], moves[1], dim=0)
        direction = max(direction, math.degrees(math.acos(min(1.0, float(cosine)))))
    focal = found.intrinsics[:, 0, 0] / truth.intrinsics[:, 0, 0] - 1
    return rotation, direction, float(focal[focal.abs().argmax()])


def _relative(cameras: Cameras, first: int, second: int) -> tuple[Tensor, Tensor]:
    poses = cameras.world_from_camera.double()
    back = poses[first, :3, :3].T
    return back @ poses[second, :3, :3], back @ (poses[second, :3, 3] - poses[first, :3, 3])


def largest_turn(cameras: Cameras) -> float:
    """Degrees between the two cameras whose optical axes differ most."""
    axes = cameras.world_from_camera[:, :3, 2].double()
    return math.degrees(float((axes @ axes.T).clamp(-1, 1).min().acos()))


def row_of(scene: Scene, frames: list[int], estimator: PoseEstimator) -> dict[str, object]:
    """One set: errors, processor seconds, warnings, or the refusal."""
    assert scene.target_images is not None
    started = process_time()
    row: dict[str, object] = {"capture": scene.name, "frames": frames}
    try:
        found = estimator.estimate_poses(scene.target_images[frames])
    except InputError as refusal:
        return {**row, "seconds": process_time() - started, "refused": refusal.message}
    rotation, direction, focal = errors(found.cameras, scene.targets[frames])
    return {
        **row,
        "seconds": process_time() - started,
        "rotation": rotation,
        "direction": direction,
        "focal": focal,
        "settled": not any("do not settle" in warning for warning in found.warnings),
    }


def short_of(row: dict[str, object]) -> str:
    """What of a row falls short of the wanted accuracy."""
    if "refused" in row:
        return "refused"
    frames = row["frames"]
    assert isinstance(frames, list)
    wide = len(frames) >= FROM and abs(float(str(row["focal"]))) > FOCAL
    limits = (("rotation", ROTATION), ("direction", DIRECTION))
    missed = [name for name, limit in limits if float(str(row[name])) > limit]
    return ", ".join([*missed, "focal"] if wide else missed)


def line_of(row: dict[str, object]) -> str:
    """One line of the table."""
    frames = row["frames"]
    assert isinstance(frames, list)
    stride = frames[1] - frames[0]
    name = f"{row['capture']} {frames[0]}-{frames[-1]}, every {stride}"
    if "refused" in row:
        return f"| {name} | {len(frames)} | | | | | {row['seconds']:.0f} | {row['refused']} |"
    return (
        f"| {name} | {len(frames)} | {row['rotation']:.2f} | {row['direction']:.2f} | "
        f"{row['focal']:+.1%} | {'yes' if row['settled'] else 'no'} | {row['seconds']:.0f} | "
        f"{short_of(row)} |"
    )


def main() -> None:
    """Print a table, worst rows first, and how many sets fall short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captures", nargs="+", metavar="FOLDER")
    parser.add_argument("--poses", default="colmap")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--counts", default="2,3,4,6,8,10,12")
    parser.add_argument("--strides", default="2,3,4,6")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--turns", action="store_true")
    arguments = parser.parse_args()
    registry = Registry.from_entry_points()
    values = dict(parse_override(text) for text in arguments.overrides)
    options = registry.options("poses", arguments.poses, values, "--set")
    estimator = registry.build("poses", arguments.poses, options, torch.device("cpu"))
    counts, strides = (
        [int(text) for text in given.split(",")] for given in (arguments.counts, arguments.strides)
    )
    rows = []
    for folder in arguments.captures:
        scene = capture(folder)
        for frames in sets_of(len(scene.targets), counts, strides):
            if arguments.turns:
                turn = largest_turn(scene.targets[frames])
                print(f"{scene.name} {frames[0]}-{frames[-1]} ({len(frames)}): {turn:.1f} degrees")
                continue
            rows.append(row_of(scene, frames, estimator))
            print(line_of(rows[-1]), flush=True)
    if arguments.turns:
        return
    short = [row for row in rows if short_of(row)]
    print(f"\n{len(short)} of {len(rows)} sets fall short:\n")
    print(
        "| set | photos | rotation | direction | focal | settled | CPU seconds | falls short in |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in [*short, *(row for row in rows if not short_of(row))]:
        print(line_of(row))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
