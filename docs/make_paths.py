"""Draw the path of every camera move, from above and from the side: ``docs/images/paths.png``.

Run: ``python docs/make_paths.py`` (needs matplotlib, extra ``study``).
"""

import math
from pathlib import Path

import torch

from sphinx_framework.scenes.presets import PRESETS, View, preset_options
from sphinx_framework.types import Cameras

FRAMES = 24
FOCUS = (0.0, 0.0, 4.0)


def inputs() -> Cameras:
    """Two inputs beside each other that look at one point four units ahead."""
    poses = torch.eye(4).repeat(2, 1, 1)
    for pose, x in zip(poses, (-0.4, 0.4), strict=True):
        angle = math.atan2(-x, FOCUS[2])
        pose[0, 0] = pose[2, 2] = math.cos(angle)
        pose[0, 2], pose[2, 0] = math.sin(angle), -math.sin(angle)
        pose[0, 3] = x
    k = torch.tensor([[40.0, 0, 32], [0, 40, 32], [0, 0, 1]])
    return Cameras(world_from_camera=poses, intrinsics=k.repeat(2, 1, 1), image_size=(64, 64))


def main() -> None:
    """Draw and save."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, places = pyplot.subplots(4, 4, figsize=(11, 11), constrained_layout=True)
    view = View(inputs=inputs(), near=None, far=None)
    for place, (name, preset) in zip(places.flat, PRESETS.items(), strict=False):
        path = preset.make(view, FRAMES, preset_options(name, "", name))
        shades = torch.linspace(0.25, 1, FRAMES).tolist()
        x, y, z = path.centres.T.tolist()
        up = name in ("pedestal", "tilt", "lemniscate", "roll", "spiral")
        across, along = (x, [-v for v in y]) if up else (x, z)
        ahead = path.world_from_camera[:, :3, 1 if name == "roll" else 2]
        if name == "roll":
            ahead = -ahead  # the camera's own up
        axes = (0, 1) if up else (0, 2)
        sign = -1 if up else 1
        place.scatter(across, along, c=shades, cmap="viridis", s=14, zorder=3)
        if name == "tilt":  # seen from the side: forward to the right
            place.cla()
            place.scatter(z, [-v for v in y], c=shades, cmap="viridis", s=14)
            axes, across = (2, 1), z
        for i in range(0, FRAMES, 2):
            zoom = float(path.intrinsics[i, 0, 0] / inputs().intrinsics[0, 0, 0])
            dx, dy = float(ahead[i, axes[0]]), sign * float(ahead[i, axes[1]])
            place.plot(
                [across[i], across[i] + 0.5 * zoom * dx],
                [along[i], along[i] + 0.5 * zoom * dy],
                color=pyplot.get_cmap("viridis")(shades[i]),
                lw=1,
            )
        if not up:
            place.plot(*FOCUS[::2], "r+", ms=9)
            place.plot([-0.4, 0.4], [0, 0], "k^", ms=5)
        place.set_aspect("equal", adjustable="datalim")
        seen = "from the side" if name == "tilt" else "from behind" if up else "from above"
        place.set_title(f"{name} ({seen})", fontsize=10)
        place.tick_params(labelsize=7)
    for place in places.flat[len(PRESETS) :]:
        place.axis("off")
    figure.savefig(Path(__file__).parent / "images" / "paths.png", dpi=75)


if __name__ == "__main__":
    main()
