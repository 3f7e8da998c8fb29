"""The dial, checked: whether more quality costs more, keeps more, and is better than its rivals."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np

from sphinx_framework.policy.schedule import Mode
from sphinx_framework.study.calibrate.ties import TIE, cheapest_best
from sphinx_framework.study.evaluate.records import Measured
from sphinx_framework.study.evaluate.systems import DENSE, OTHER_NOISE, System
from sphinx_framework.study.report.claims import Claim, claims
from sphinx_framework.study.report.pareto import mean_points, pareto
from sphinx_framework.study.report.summary import Rows
from sphinx_framework.types import Objective

MODE: Mode = "fine"
QUALITY = 0.95
SCENES_MET = 0.9
END_TO_END = 2.5
# Of two runs of equal plans, only the clock differs: times this near count as equal.
SAME_TIME = 0.05
MEASURES = {"psnr": "PSNR", "ssim": "SSIM", "gms": "GMS", "features": "feature distance"}
SMALLER_IS_BETTER = ("features",)


def promise(rows: Rows, systems: Sequence[System], objective: Objective) -> list[Claim]:
    """Every claim of an evaluation; shares of full diffusion's score only if they are promised."""
    known = claims(rows, systems, of_scores=objective != "truth")
    return [*dial_claims(rows, systems, objective), *known]


def dial_claims(rows: Rows, systems: Sequence[System], objective: Objective) -> list[Claim]:
    """The claims about mode ``fine`` over the qualities that were run, and at 0.95."""
    dial = sorted(
        (s for s in systems if s.mode == MODE and s.plain and s.name in rows),
        key=lambda system: system.quality,
    )
    if not dial:
        return []
    names = [system.name for system in dial]
    checked = [
        _rises(rows, names, "frame_steps", "frame steps", 0.0),
        _rises(rows, names, "seconds", "seconds", SAME_TIME),
        *_kept(rows, dial, objective),
        *(_no_worse(rows, names, key) for key in MEASURES if _has(rows, names, key)),
    ]
    at = next((s.name for s in dial if s.quality == QUALITY), None)
    if at is not None:
        checked += _against_rivals(rows, systems, at)
    return checked


def similarity(scene: Measured) -> float:
    """(SSIM + GMS) / 2: the measure of objective ``truth``."""
    return (scene["ssim"] + scene["gms"]) / 2


def best_systems(rows: Rows) -> tuple[str, str]:
    """The system that shares are of, and the one of the highest mean similarity.

    The first is the best as rules have it, where frame steps are what a system costs.
    """
    means = {name: fmean(map(similarity, scenes)) for name, scenes in rows.items()}
    steps = {name: fmean(scene["frame_steps"] for scene in rows[name]) for name in rows}
    return cheapest_best(means, steps.__getitem__), max(means, key=means.__getitem__)


def shares(rows: Rows, name: str, of: str | None) -> list[float]:
    """What a system keeps of another's similarity on every scene, or of full diffusion's score."""
    if of is None:
        return [scene["kept"] for scene in rows[name]]
    pairs = zip(rows[name], rows[of], strict=True)
    return [similarity(own) / similarity(top) for own, top in pairs]


def _kept(rows: Rows, dial: Sequence[System], objective: Objective) -> list[Claim]:
    if objective == "paper":
        return [
            _keeps(system, shares(rows, system.name, None), "full diffusion's score")
            for system in dial
        ]
    if not _has(rows, list(rows), "ssim"):
        return [Claim(text="fine keeps its quality", numbers="no ground truth", met=None)]
    best, highest = best_systems(rows)
    found = []
    for system in dial:
        more = ""
        if highest != best:
            met = _met(shares(rows, system.name, highest), system.quality)
            more = f"; of '{highest}', higher in the mean by less than {TIE:g} of it, {met:.0%}"
        own = shares(rows, system.name, best)
        found.append(_keeps(system, own, f"the similarity of '{best}'", more))
    return found


def _keeps(system: System, own: Sequence[float], of: str, more: str = "") -> Claim:
    met = _met(own, system.quality)
    return Claim(
        text=f"{system.name}: at least {SCENES_MET:.0%} of scenes keep {system.quality:g} of {of}",
        numbers=f"{met:.0%} of {len(own)}, {fmean(own):.3f} in the mean, worst {min(own):.3f}"
        + more,
        met=met >= SCENES_MET,
    )


def _met(own: Sequence[float], quality: float) -> float:
    """Share of the scenes that keep the quality."""
    return fmean(share >= quality - 1e-9 for share in own)


def _rises(rows: Rows, names: Sequence[str], key: str, what: str, slack: float) -> Claim:
    means = [fmean(scene[key] for scene in rows[name]) for name in names]
    rising = all(low <= high * (1 + slack) for low, high in pairwise(means))
    distinct = len({round(mean, 3) for mean in means})
    # A clock's are always different, and never quite in order.
    told = f" ({distinct} different costs)" if slack == 0 else f" (a fall of {slack:.0%} is noise)"
    return Claim(
        text=f"{MODE}: {what} in the mean never fall as the quality rises, nor are all equal",
        numbers=_listed(names, means) + told,
        met=(rising and distinct > 1) if len(names) > 1 else None,
    )


def _no_worse(rows: Rows, names: Sequence[str], key: str) -> Claim:
    means = [fmean(scene[key] for scene in rows[name]) for name in names]
    sign = -1 if key in SMALLER_IS_BETTER else 1
    return Claim(
        text=f"{MODE}: {MEASURES[key]} in the mean does not get worse as the quality rises",
        numbers=_listed(names, means),
        met=all(sign * low <= sign * high + 1e-9 for low, high in pairwise(means))
        if len(names) > 1
        else None,
    )


def _against_rivals(rows: Rows, systems: Sequence[System], at: str) -> list[Claim]:
    plain = [
        s.name
        for s in systems
        if s.mode == "diffusion" and s.family != OTHER_NOISE and s.name in rows
    ]
    against = {name: rows[name] for name in (at, *plain)}
    found = [_on_front(against, at, key) for key in MEASURES if _has(against, list(against), key)]
    if DENSE in rows:
        own, dense = (np.array([s["seconds"] for s in rows[name]]) for name in (at, DENSE))
        mean = float(dense.mean() / own.mean())
        tail = float(np.quantile(dense, 0.95) / np.quantile(own, 0.95))
        still = all(scene["frame_steps"] == 0 for scene in rows[at])
        found.append(
            Claim(
                text=f"{at}: end to end {END_TO_END:g}x faster than full diffusion, in the mean "
                "and at P95",
                numbers=f"{mean:.1f}x and {tail:.1f}x"
                + (", every frame served as rendered" if still else ""),
                met=min(mean, tail) >= END_TO_END,
            )
        )
    return found


def _on_front(rows: Rows, at: str, key: str) -> Claim:
    sign = -1 if key in SMALLER_IS_BETTER else 1
    points = {n: (taken, sign * value) for n, (taken, value) in mean_points(rows, key).items()}
    front = pareto(points)
    beaten = [n for n in front if points[n][0] <= points[at][0] and points[n][1] >= points[at][1]]
    by = [name for name in beaten if name != at]
    return Claim(
        text=f"{at} is on the front of seconds against {MEASURES[key]} among all plain schedules",
        numbers="front: " + (", ".join(front) if at in front else f"{', '.join(front)}; by {by}"),
        met=at in front,
    )


def _listed(names: Sequence[str], means: Sequence[float]) -> str:
    return ", ".join(f"{name}: {mean:.4g}" for name, mean in zip(names, means, strict=True))


def _has(rows: Mapping[str, Sequence[Measured]], names: Sequence[str], key: str) -> bool:
    return all(key in scene for name in names for scene in rows[name])
