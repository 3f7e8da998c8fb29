"""The method against dense diffusion with fewer steps at equal time: the natural competitor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sphinx_framework.study.report.summary import NOT_MEASURED, Rows

FIGURES = (("kept", 3), ("psnr", 2), ("lpips", 3), ("features", 4), ("gms", 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Dense diffusion at a system's seconds: figures interpolated between its numbers of steps.

    kind: of the competitor. figures: by key, the system's own mean and the rival's; absent where
    one is not measured.
    within: whether the seconds lie between the rival's fastest and slowest measurement. Outside,
    the nearer end stands in.
    """

    system: str
    kind: str
    seconds: float
    figures: Mapping[str, tuple[float, float]]
    within: bool


def rivals(
    rows: Rows, systems: Sequence[str], competitors: Mapping[str, Sequence[str]]
) -> list[Rival]:
    """A rival per system and kind of competitor (a name, and its systems), at equal seconds.

    Figures are interpolated linearly in the logarithm of mean seconds.
    """
    return [
        _rival(rows, system, kind, names)
        for system in systems
        for kind, names in competitors.items()
    ]


def _rival(rows: Rows, system: str, kind: str, competitors: Sequence[str]) -> Rival:
    speeds = sorted((_mean(rows, name, "seconds"), name) for name in competitors)
    times = np.log([seconds for seconds, _ in speeds])
    seconds = _mean(rows, system, "seconds")
    figures = {}
    for key, _ in FIGURES:
        curve = [_mean(rows, name, key) for _, name in speeds]
        own = _mean(rows, system, key)
        if np.isfinite([own, *curve]).all():
            figures[key] = (own, float(np.interp(np.log(seconds), times, curve)))
    return Rival(
        system=system,
        kind=kind,
        seconds=seconds,
        figures=figures,
        within=bool(times[0] <= np.log(seconds) <= times[-1]),
    )


def rival_table(found: Sequence[Rival]) -> list[list[str]]:
    """Own figure against the rival's, one line per system."""
    heads = {"kept": "score kept", "psnr": "PSNR", "lpips": "LPIPS", "features": "feature distance",
             "gms": "gradient sim."}  # fmt: skip
    told = (f"{heads[key]}: own / diffusion" for key, _ in FIGURES)
    lines = [["system", "against", "seconds", *told, "note"]]
    for rival in found:
        cells = [
            f"{rival.figures[k][0]:.{digits}f} / {rival.figures[k][1]:.{digits}f}"
            if k in rival.figures
            else NOT_MEASURED
            for k, digits in FIGURES
        ]
        note = "" if rival.within else "nearest"
        lines.append([rival.system, rival.kind, f"{rival.seconds:.2f}", *cells, note])
    return lines


def _mean(rows: Rows, system: str, key: str) -> float:
    values = [scene[key] for scene in rows[system] if key in scene]
    return float(np.mean(values)) if values else float("nan")
