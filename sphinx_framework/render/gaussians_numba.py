"""CPU back-end: numba kernels on threads of our own.

A view takes four passes: project, sort by depth, list the splats of every 16x16 tile, blend the
tiles. The kernels release the GIL and are run by a thread pool, because numba's own parallel loops
must not be entered by two requests at once. With at least as many views as threads each thread
renders whole views; with fewer, the threads share every pass of one view.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.render.gaussians import GaussianRender
from sphinx_framework.render.numba_binning import bin_tiles, sort_by_depth
from sphinx_framework.render.numba_blending import TILE, blend_tiles
from sphinx_framework.render.numba_projection import BOX_WIDTH, SPLAT_WIDTH, project_splats
from sphinx_framework.types import Cameras, Gaussians

Lanes = Callable[[Callable[[int], None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrays:
    """The Gaussians as contiguous float32 arrays, shared by all views."""

    means: np.ndarray
    covariances: np.ndarray
    harmonics: np.ndarray
    opacities: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One camera as the kernels take it, and the pictures it fills in."""

    rotation: np.ndarray
    translation: np.ndarray
    pinhole: np.ndarray
    background: np.ndarray
    near: float
    dilation: float
    image: np.ndarray
    opacity: np.ndarray
    depth: np.ndarray


def render_numba(
    gaussians: Gaussians,
    cameras: Cameras,
    backgrounds: Float[Tensor, "V 3"],
    nears: Float[Tensor, " V"],
    dilation: float,
) -> GaussianRender:
    """Render on the CPU in float32 (projection in float64), on ``NUMBA_NUM_THREADS`` threads."""
    arrays = _Arrays(
        means=_float32(gaussians.means),
        covariances=_float32(gaussians.covariances),
        harmonics=_float32(gaussians.harmonics),
        opacities=_float32(gaussians.opacities),
    )
    height, width = cameras.image_size
    images = torch.empty(len(cameras), 3, height, width)
    opacity = torch.empty(len(cameras), height, width)
    depth = torch.empty(len(cameras), height, width)
    camera_from_world = cameras.camera_from_world.double().numpy()
    intrinsics = cameras.intrinsics.double().numpy()
    views = [
        _View(
            rotation=np.ascontiguousarray(camera_from_world[i, :3, :3]),
            translation=np.ascontiguousarray(camera_from_world[i, :3, 3]),
            pinhole=intrinsics[i][[0, 1, 0, 1], [0, 1, 2, 2]],
            background=_float32(backgrounds[i]),
            near=float(nears[i]),
            dilation=dilation,
            image=images[i].numpy(),
            opacity=opacity[i].numpy(),
            depth=depth[i].numpy(),
        )
        for i in range(len(cameras))
    ]
    threads = int(numba.config.NUMBA_NUM_THREADS)
    if threads == 1 or len(views) == 0:
        for view in views:
            _render_view(arrays, view, 1, _one_lane)
    else:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            if len(views) >= threads:
                list(pool.map(lambda view: _render_view(arrays, view, 1, _one_lane), views))
            else:
                for view in views:
                    _render_view(
                        arrays, view, threads, lambda run: list(pool.map(run, range(threads)))
                    )
    return GaussianRender(images=images, opacity=opacity, depth=depth)


def _render_view(arrays: _Arrays, view: _View, lanes: int, each_lane: Lanes) -> None:
    """Run the passes of one view, each on ``lanes`` threads."""
    count = len(arrays.means)
    height, width = view.opacity.shape
    splats = np.empty((count, SPLAT_WIDTH), np.float32)
    boxes = np.empty((count, BOX_WIDTH), np.int32)
    keys = np.empty(count, np.uint32)
    each_lane(
        lambda lane: project_splats(
            arrays.means,
            arrays.covariances,
            arrays.harmonics,
            arrays.opacities,
            view.rotation,
            view.translation,
            view.pinhole,
            (height, width),
            (view.near, view.dilation),
            (lane, lanes),
            (splats, boxes, keys),
        )
    )
    order = sort_by_depth(keys)
    tiles = (-(-height // TILE), -(-width // TILE))
    counts = np.zeros((lanes, tiles[0] * tiles[1]), np.int64)
    each_lane(lambda lane: bin_tiles(order, boxes, tiles[1], (lane, lanes), counts, None))
    ends = np.cumsum(counts.T.reshape(-1)).reshape(-1, lanes).T
    starts = ends - counts
    entries = np.empty(int(ends[-1, -1]), np.int32)
    each_lane(lambda lane: bin_tiles(order, boxes, tiles[1], (lane, lanes), starts, entries))
    each_lane(
        lambda lane: blend_tiles(
            splats,
            boxes,
            entries,
            ends[-1],
            view.background,
            (lane, lanes),
            (view.image, view.opacity, view.depth),
        )
    )


def _one_lane(run: Callable[[int], None]) -> None:
    run(0)


def _float32(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()
