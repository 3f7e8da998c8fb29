"""The output folder of a render; a finished file is never half written."""

import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.engine.result import RenderResult
from sphinx_framework.errors import ConfigError
from sphinx_framework.output.contact_sheet import write_contact_sheet
from sphinx_framework.output.ply import write_ply
from sphinx_framework.output.transforms import write_transforms
from sphinx_framework.output.video import write_video
from sphinx_framework.scenes.images import write_png


def prepare_folder(out: Path) -> None:
    """Make the output folder now, so that a bad path fails before anything is computed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"--out {out}: cannot write there: {error.strerror}.", hint="Choose another folder."
        ) from None


def write_result(result: RenderResult, out: Path) -> None:
    """Write every file of a run into ``out``; ``report.json`` comes last and holds the times.

    ``frames/``, ``coarse/``, ``video.mp4``, ``contact_sheet.png``, ``transforms.json``,
    ``report.json``, and ``scene.ply`` where the regression stage has Gaussians.
    """
    started = perf_counter()
    prepare_folder(out)
    _write_frames(out / "frames", result.images)
    _write_frames(out / "coarse", result.coarse.images.cpu())
    _atomically(out / "video.mp4", lambda path: write_video(path, result.images))
    _atomically(out / "contact_sheet.png", lambda path: write_contact_sheet(path, result))
    _atomically(
        out / "transforms.json",
        lambda path: write_transforms(
            path,
            result.scene.targets,
            file_paths=[f"frames/{i:03d}.png" for i in range(len(result.scene.targets))],
        ),
    )
    gaussians = result.coarse.gaussians
    if gaussians is not None:
        _atomically(out / "scene.ply", lambda path: write_ply(path, gaussians))
    seconds = result.report.seconds
    seconds.write += perf_counter() - started
    seconds.total += seconds.write
    _atomically(out / "report.json", lambda path: path.write_text(result.report.to_json()))


def _write_frames(folder: Path, images: Float[Tensor, "T 3 H W"]) -> None:
    folder.mkdir(exist_ok=True)
    names = {f"{index:03d}.png" for index in range(len(images))}
    for stale in folder.glob("[0-9][0-9][0-9]*.png"):
        if stale.name not in names:
            stale.unlink()
    for index, image in enumerate(images):
        write_png(folder / f"{index:03d}.png", image)


def _atomically(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
