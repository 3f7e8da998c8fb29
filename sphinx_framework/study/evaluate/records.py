"""What an evaluation records per scene and system: one JSON file per scene, written whole."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from sphinx_framework.errors import ConfigError
from sphinx_framework.options import Options
from sphinx_framework.study.evaluate.settings import Settings

Measured = dict[str, float]


class SystemRecord(Options):
    """One system on one scene.

    values: figures by name; what was not measured is absent, never zero or NaN.
    starts, scores: per target, the start step and the achieved no-reference score.
    """

    settings: Settings
    values: Measured
    starts: tuple[int, ...]
    scores: tuple[float, ...]
    energy_note: str = ""


class SceneRecord(Options):
    """All systems on one scene."""

    scene: str
    systems: dict[str, SystemRecord]


def known(values: Mapping[str, float | None]) -> Measured:
    """Drop what was not measured (``None``, NaN, infinity)."""
    return {k: float(v) for k, v in values.items() if v is not None and math.isfinite(v)}


def read_record(path: Path) -> SceneRecord:
    """Read one scene's file; raises :class:`ConfigError` when it is none."""
    try:
        return SceneRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"{path}: is no recorded scene: {first}.", hint="Delete it; it is measured again."
        ) from None


def record_text(record: SceneRecord) -> str:
    """Content of one scene's file."""
    return record.model_dump_json(indent=1)


def relative(
    record: SceneRecord, qualities: Mapping[str, float], dense: str
) -> dict[str, Measured]:
    """Figures by system, with what they are against full diffusion on the same scene.

    qualities: the target by system. Adds ``speedup``, ``kept`` (mean score over full diffusion's),
    ``met`` (1 when kept reaches the target) and ``frames_met`` (share of frames that do).
    """
    reference = record.systems[dense]
    rows: dict[str, Measured] = {}
    for system, quality in qualities.items():
        own = record.systems[system]
        kept = own.values["score"] / reference.values["score"]
        rows[system] = {
            **own.values,
            "speedup": reference.values["seconds"] / own.values["seconds"],
            "kept": kept,
            "met": float(kept >= quality),
            "frames_met": _share_met(own.scores, reference.scores, quality),
        }
    return rows


def _share_met(scores: Sequence[float], reference: Sequence[float], quality: float) -> float:
    pairs = zip(scores, reference, strict=True)
    return sum(own >= quality * full for own, full in pairs) / len(scores)
