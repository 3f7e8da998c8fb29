"""Writers of the outputs that ``--save`` names."""

from collections.abc import Callable
from pathlib import Path

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.output.animations import write_gif, write_side_by_side, write_webp
from sphinx_framework.output.colmap import write_colmap
from sphinx_framework.output.depth import write_depth
from sphinx_framework.output.masks import write_masks
from sphinx_framework.output.nerfstudio import write_nerfstudio
from sphinx_framework.output.saving import Saving
from sphinx_framework.output.spz import spz_problem, write_spz


def write_saves(result: RenderResult, folder: Path, chosen: Saving) -> None:
    """Write what was chosen into the folder; what the regression stage lacks is a warning."""
    for name in chosen.names:
        lacking = _lacking(result, name)
        if lacking:
            warning = f"save {name}: not written, {lacking}"
            if warning not in result.report.warnings:  # a result may be written twice
                result.report.warnings.append(warning)
        else:
            _WRITERS[name](result, folder, chosen.fps)


def _lacking(result: RenderResult, name: str) -> str:
    if name == "depth" and result.coarse.depth is None:
        return "the regression stage gives no depth"
    if name == "spz":
        found = result.coarse.gaussians
        if found is None:
            return "the regression stage has no Gaussians"
        return spz_problem(found, result.scene.origin)
    return ""


def _depth(result: RenderResult, folder: Path, fps: float) -> None:
    assert result.coarse.depth is not None
    write_depth(folder / "depth", result.coarse.depth)


def _spz(result: RenderResult, folder: Path, fps: float) -> None:
    assert result.coarse.gaussians is not None
    write_spz(folder / "scene.spz", result.coarse.gaussians)


_WRITERS: dict[str, Callable[[RenderResult, Path, float], None]] = {
    "depth": _depth,
    "masks": lambda result, folder, fps: write_masks(folder / "masks", result.mask),
    "webp": lambda result, folder, fps: write_webp(folder / "video.webp", result.images, fps=fps),
    "gif": lambda result, folder, fps: write_gif(folder / "video.gif", result.images, fps=fps),
    "side-by-side": lambda result, folder, fps: write_side_by_side(
        folder / "side_by_side.mp4", result, fps=fps
    ),
    "nerfstudio": lambda result, folder, fps: write_nerfstudio(folder / "nerfstudio", result),
    "colmap": lambda result, folder, fps: write_colmap(folder / "colmap", result),
    "spz": _spz,
}
