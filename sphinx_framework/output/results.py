"""What a render leaves: frames, videos and the report, in a folder that appears whole."""

from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.errors import ConfigError
from sphinx_framework.folders.folder import OutputFolder
from sphinx_framework.folders.manifest import RENDERED
from sphinx_framework.output.contact_sheet import write_contact_sheet
from sphinx_framework.output.saves import write_saves
from sphinx_framework.output.saving import Saving, saving
from sphinx_framework.output.transforms import write_transforms
from sphinx_framework.output.video import write_video
from sphinx_framework.scenes.images import write_png
from sphinx_framework.splatting.ply import write_ply

REPORT = "report.json"
NO_MORE = Saving()


def save_result(
    result: RenderResult,
    path: str | Path,
    *,
    save: str | Iterable[str] | None = None,
    fps: float | None = None,
) -> Path:
    """Write a result to a new folder, or over an earlier result of ours; returns the folder.

    save: outputs besides the fixed files, of :data:`~sphinx_framework.output.saving.SAVES`, or
        "all". fps: frames per second of the videos (12).

    Raises:
        ConfigError: an unknown output, or a folder that holds files which are not ours.
        JobError: the disk is full.
    """
    if not isinstance(result, RenderResult):
        raise ConfigError(f"save_result takes what render returns, got {result!r}.")
    chosen = saving(save, fps)
    with OutputFolder(path, option="path", holds=RENDERED) as out:
        publish_result(result, out, chosen)
        return out.path


def publish_result(result: RenderResult, out: OutputFolder, chosen: Saving = NO_MORE) -> None:
    """Replace what an earlier run left in ``out`` by this result, all of it at once."""
    with out.replacing(last=REPORT) as new:
        write_result(result, new, chosen)


def write_result(result: RenderResult, folder: Path, chosen: Saving = NO_MORE) -> None:
    """Write every file of a run into an empty folder; the report comes last, with the times.

    ``frames/``, ``coarse/``, ``video.mp4``, ``contact_sheet.png``, ``transforms.json``,
    ``report.json``, ``scene.ply`` where the regression stage has Gaussians, and what was chosen.
    """
    started = perf_counter()
    _write_frames(folder / "frames", result.images)
    _write_frames(folder / "coarse", result.coarse.images.cpu())
    write_video(folder / "video.mp4", result.images, fps=chosen.fps)
    write_contact_sheet(folder / "contact_sheet.png", result)
    names = [frame_name(index) for index in range(len(result.scene.targets))]
    cameras = folder / "transforms.json"
    origin = result.scene.origin
    write_transforms(cameras, result.scene.targets, file_paths=names, origin=origin)
    if result.coarse.gaussians is not None:
        write_ply(folder / "scene.ply", result.coarse.gaussians, origin=origin)
    write_saves(result, folder, chosen)
    seconds, before = result.report.seconds, result.report.seconds.write
    seconds.write = perf_counter() - started  # of this time: a result may be written twice
    seconds.total += seconds.write - before
    (folder / REPORT).write_text(result.report.to_json(), encoding="utf-8")


def frame_name(index: int) -> str:
    """Where the frame of a target lies in the output folder."""
    return f"frames/{index:03d}.png"


def _write_frames(folder: Path, images: Float[Tensor, "T 3 H W"]) -> None:
    folder.mkdir()
    for index, image in enumerate(images):
        write_png(folder / f"{index:03d}.png", image)
