"""Focal lengths that straight lines tell against true ones, photo by photo.

    python benchmarks/line_focal.py path/to/re10k_room path/to/dl3dv_140 procedural:report/900-929

Every argument is a scene folder whose photos have cameras, or a range of built-in generated scenes
(one photo each). A row has how many photos have lines that are believed, and how far off those are:
the error's median and largest, and how many times the width that the lines state the largest is.
``--all`` counts the photos too whose lines are not believed.
"""

import argparse
import math
import statistics

import numpy as np
import numpy.typing as npt
from poses import capture
from torch import Tensor

from sphinx_framework.scenes.load import load_scene
from sphinx_framework_colmap.lines import find_lines
from sphinx_framework_colmap.manhattan import LineFocal, focal_of_lines

Photo = npt.NDArray[np.uint8]


def photos_of(place: str) -> list[tuple[Photo, float]]:
    """Photos ``[H, W, 3]`` uint8 and their focal lengths in pixels."""
    if not place.startswith("procedural:"):
        scene = capture(place)
        assert scene.target_images is not None
        cameras, images = scene.targets, scene.target_images
        return list(zip(_bytes(images), cameras.intrinsics[:, 0, 0].tolist(), strict=True))
    name, _, numbers = place.rpartition("/")
    first, _, last = numbers.partition("-")
    found = []
    for number in range(int(first), int(last or first) + 1):
        scene = load_scene(f"{name}/{number}", size=(360, 640))
        found.append((_bytes(scene.images)[0], float(scene.inputs.intrinsics[0, 0, 0])))
    return found


def _bytes(images: Tensor) -> list[Photo]:
    return list((images * 255).round().byte().permute(0, 2, 3, 1).numpy())


def row_of(place: str, *, doubted: bool) -> str:
    """One line of the table."""
    asked: list[tuple[LineFocal | None, float]] = [
        (focal_of_lines(find_lines(photo), max(photo.shape[:2])), focal)
        for photo, focal in photos_of(place)
    ]
    kept = [(one, focal) for one, focal in asked if one and (one.believed or doubted)]
    name = f"| {place.rstrip('/').rpartition('/')[2]} | {len(asked)} | {len(kept)} |"
    if not kept:
        return f"{name} | | |"
    off = [abs(math.log(one.focal / focal)) for one, focal in kept]
    widths = [error / one.width for error, (one, _) in zip(off, kept, strict=True)]
    return f"{name} {statistics.median(off):.1%} | {max(off):.1%} | {max(widths):.2f} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", metavar="FOLDER")
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    print("| photos of | photos | believed | median error | largest | of its width |")
    print("|---|---|---|---|---|---|")
    for place in arguments.places:
        print(row_of(place, doubted=arguments.all), flush=True)


if __name__ == "__main__":
    main()
