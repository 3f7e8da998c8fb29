"""CPU back-end: numba kernels on threads of our own.

A view takes four passes: project, sort by depth, list the splats of every 16x16 tile, blend the
tiles. The kernels release the GIL and are run by a thread pool, because numba's own parallel loops
must not be entered by two requests at once. With at least as many views as threads each thread
renders whole views; with fewer, the threads share every pass of one view.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.splatting.contract import GaussianRender
from sphinx_framework.splatting.cpu.binning import count_tiles, fill_tiles, sort_by_depth
from sphinx_framework.splatting.cpu.blending import blend_tiles
from sphinx_framework.splatting.cpu.layout import SPLAT_WIDTH, TILE, num_threads
from sphinx_framework.splatting.cpu.projection import project_splats
from sphinx_framework.types import Cameras, Gaussians

EachLane = Callable[[Callable[[int], None]], None]
_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One camera as the kernels take it, and the pictures they fill in.

    camera: rotation and translation of camera-from-world, and (fx, fy, cx, cy), float64.
    limits: near culling depth and dilation.
    out: image [3 H W], opacity [H W] and depth [H W].
    """

    camera: tuple[np.ndarray, np.ndarray, np.ndarray]
    limits: tuple[float, float]
    background: np.ndarray
    out: tuple[np.ndarray, np.ndarray, np.ndarray]


def render_numba(
    gaussians: Gaussians,
    cameras: Cameras,
    backgrounds: Float[Tensor, "V 3"],
    nears: Float[Tensor, " V"],
    dilation: float,
) -> GaussianRender:
    """Render on the CPU in float32 (projection in float64), on ``NUMBA_NUM_THREADS`` threads."""
    arrays = (
        _float32(gaussians.means),
        _float32(gaussians.covariances),
        _float32(gaussians.harmonics),
        _float32(gaussians.opacities),
    )
    height, width = cameras.image_size
    images = torch.empty(len(cameras), 3, height, width)
    opacity = torch.empty(len(cameras), height, width)
    depth = torch.empty(len(cameras), height, width)
    poses = cameras.camera_from_world.double().numpy()
    intrinsics = cameras.intrinsics.double().numpy()
    views = [
        _View(
            camera=(
                np.ascontiguousarray(poses[i, :3, :3]),
                np.ascontiguousarray(poses[i, :3, 3]),
                intrinsics[i][[0, 1, 0, 1], [0, 1, 2, 2]],
            ),
            limits=(float(nears[i]), float(dilation)),
            background=_float32(backgrounds[i]),
            out=(images[i].numpy(), opacity[i].numpy(), depth[i].numpy()),
        )
        for i in range(len(cameras))
    ]
    _render_views(arrays, views, num_threads())
    return GaussianRender(images=images, opacity=opacity, depth=depth)


def _render_views(arrays: _Arrays, views: list[_View], threads: int) -> None:
    """Share the work among threads: whole views when there are enough, else each view's passes."""
    if threads == 1:
        for view in views:
            _render_view(arrays, view, 1, _one_lane)
        return
    with ThreadPoolExecutor(max_workers=threads) as pool:

        def each_lane(run: Callable[[int], None]) -> None:
            list(pool.map(run, range(threads)))

        if len(views) >= threads:
            list(pool.map(lambda view: _render_view(arrays, view, 1, _one_lane), views))
        else:
            for view in views:
                _render_view(arrays, view, threads, each_lane)


def _render_view(arrays: _Arrays, view: _View, lanes: int, each_lane: EachLane) -> None:
    """Run the passes of one view, each on ``lanes`` threads."""
    count = len(arrays[0])
    height, width = view.out[1].shape
    splats = np.empty((count, SPLAT_WIDTH), np.float32)
    boxes = np.empty((count, 4), np.int32)
    tile_boxes = np.empty((count, 4), np.int16)
    keys = np.empty(count, np.uint32)
    out = (splats, boxes, tile_boxes, keys)
    each_lane(
        lambda lane: project_splats(
            arrays, view.camera, (height, width), view.limits, (lane, lanes), out
        )
    )
    order = sort_by_depth(keys)

    across, down = -(-width // TILE), -(-height // TILE)
    counts = np.zeros((lanes, across * down), np.int64)
    each_lane(lambda lane: count_tiles(order, tile_boxes, across, (lane, lanes), counts))
    # Lists lie tile after tile, and within a tile lane after lane: lanes hold nearer splats first.
    ends = np.cumsum(counts.T).reshape(-1, lanes).T
    places = ends - counts
    bounds = (places[0].copy(), ends[-1].copy())
    entries = np.empty(counts.sum(), np.int32)
    each_lane(lambda lane: fill_tiles(order, tile_boxes, across, (lane, lanes), places, entries))
    each_lane(
        lambda lane: blend_tiles(
            splats, boxes, entries, bounds, view.background, (lane, lanes), view.out
        )
    )


def _one_lane(run: Callable[[int], None]) -> None:
    run(0)


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()
