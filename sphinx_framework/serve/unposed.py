"""Photos without cameras: what can be known of their job before an estimator has run."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sphinx_framework.config import PipelineConfig
from sphinx_framework.errors import SceneError
from sphinx_framework.protocols import PoseEstimator
from sphinx_framework.registry import Registry
from sphinx_framework.scenes.pose_answers import installed_estimator
from sphinx_framework.scenes.targets import parse_targets
from sphinx_framework.scenes.unposed import reduced_size
from sphinx_framework.serve.problems import Problem, clean

ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)  # of EXIF: width and height change places
NO_CAMERAS = "The photos have no cameras yet"


def estimates(config: PipelineConfig) -> bool:
    """Whether the pipeline has a pose estimator."""
    return "poses" in config.pipeline


def build_estimator(
    config: PipelineConfig, registry: Registry, device: torch.device
) -> PoseEstimator | None:
    """The pipeline's pose estimator, if it has one; raises ``InputError`` as the registry."""
    role = config.pipeline.get("poses")
    if role is None:
        return None
    where = f"{config.name}, [poses]"
    options = registry.options("poses", role.use, role.options, where)
    return installed_estimator(role.use, options, device, registry)


def count_targets(options: dict[str, Any]) -> int:
    """How many views a request asks for; raises :class:`Problem` where that takes cameras."""
    targets = options["targets"]
    if targets is None:
        raise _refused("/targets", f"{NO_CAMERAS}, and so no targets of their own.")
    if options["split"] is not None:
        raise _refused("/split", "Photos alone have no split.")
    if targets.endswith(".json"):
        raise _refused("/target_cameras", f"{NO_CAMERAS} that target cameras could relate to.")
    try:
        spec = parse_targets(targets)
    except SceneError as error:
        raise _refused("/targets", error.message) from None
    if not spec.count:
        raise _refused("/targets", f"{NO_CAMERAS}, and so no targets of their own.")
    return spec.count


def photo_size(files: list[Path]) -> tuple[int, int]:
    """(height, width) of photos as an estimator gets them; :class:`Problem` where they differ."""
    sizes = [_upright_size(file) for file in files]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise Problem(
                "scene-invalid",
                f"{clean(file.name, 100)}: is {size[1]}x{size[0]} (width x height), but "
                f"{clean(files[0].name, 100)} is {sizes[0][1]}x{sizes[0][0]}.",
                hint="Photos without cameras must share one size.",
            )
    return reduced_size(sizes[0])


def _upright_size(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        width, height = image.size
        turned = image.getexif().get(ORIENTATION) in SIDEWAYS
    return (width, height) if turned else (height, width)


def _refused(pointer: str, detail: str) -> Problem:
    return Problem(
        "request-invalid",
        detail,
        hint="Ask for a path between or around the photos, such as interpolate:8 or orbit:12.",
        errors=[{"pointer": pointer, "detail": detail}],
    )
