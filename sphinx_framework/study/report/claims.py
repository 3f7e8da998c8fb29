"""The promise, checked: every headline figure with its bound, met or not, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from sphinx_framework.policy.schedule import METHOD_MODES, Mode
from sphinx_framework.study.evaluate.records import Measured
from sphinx_framework.study.evaluate.systems import DENSE, Key, System
from sphinx_framework.study.report.intervals import Interval, bootstrapped, over_scenes
from sphinx_framework.study.report.summary import NOT_MEASURED, Rows

QUALITY = 0.95
LEAST_KEPT = 0.95
LEAST_SCENES = 0.9
LEAST_SPEEDUP = 2.0
SLOWEST_SELECTIVE = 1.02
PREDICTION_ERROR = 0.15
LEAST_PREDICTED = 0.9
TAIL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """met: ``None`` where nothing was measured."""

    text: str
    numbers: str
    met: bool | None

    @property
    def state(self) -> str:
        """``met``, ``not met`` or ``not measured``."""
        return NOT_MEASURED if self.met is None else "met" if self.met else "not met"


def claims(rows: Rows, systems: Sequence[System], *, of_scores: bool = True) -> list[Claim]:
    """All claims that a study can check; ``systems``: of the rows, found by mode and quality.

    of_scores: also that shares of full diffusion's score are kept.
    """
    plain = {s.key: s.name for s in systems if s.plain and s.name in rows}
    names: dict[Mode, str] = {
        mode: plain.get((mode, QUALITY, ""), f"{mode} {QUALITY:g}") for mode in METHOD_MODES
    }
    floor = next((rows[s.name] for s in systems if s.other_noise and s.name in rows), None)
    checked: list[Claim] = []
    for name in names.values() if of_scores else ():
        checked += _quality_claims(name, rows.get(name), floor)
    checked.append(_speed_claim(names["fine"], rows.get(names["fine"])))
    checked += _selective_claims(rows, plain, systems)
    checked.append(_tail_claim(rows, names["fine"]))
    checked += [
        _prediction_claim(rows, "request", "predicted_request", "seconds_request"),
        _prediction_claim(rows, "denoising", "predicted_denoise", "seconds_denoise"),
    ]
    return checked


def claim_table(checked: Sequence[Claim]) -> list[list[str]]:
    """One line per claim."""
    return [["claim", "state", "numbers"], *([c.text, c.state, c.numbers] for c in checked)]


def _quality_claims(
    system: str, scenes: Sequence[Measured] | None, floor: Sequence[Measured] | None
) -> list[Claim]:
    """``floor``: full diffusion by other noise, which bounds what any share of scenes can mean."""
    mean = f"{system}: the mean score ratio is at least {LEAST_KEPT:g}"
    share = f"{system}: at least {LEAST_SCENES:.0%} of scenes reach it"
    if scenes is None:
        return [_unmeasured(mean), _unmeasured(share)]
    kept = over_scenes([scene["kept"] for scene in scenes])
    met = sum(scene["met"] for scene in scenes)
    worst = min(scene["kept"] for scene in scenes)
    own = ""
    if floor is not None:
        own = f"; full diffusion by other noise: {sum(s['met'] for s in floor):.0f} of {len(floor)}"
    return [
        Claim(text=mean, numbers=kept.text(3), met=kept.mean >= LEAST_KEPT),
        Claim(
            text=share,
            numbers=f"{met:.0f} of {len(scenes)} scenes ({met / len(scenes):.0%}), worst "
            f"{worst:.3f}{own}",
            met=met / len(scenes) >= LEAST_SCENES,
        ),
    ]


def _speed_claim(system: str, scenes: Sequence[Measured] | None) -> Claim:
    text = f"{system}: the mean end-to-end speed-up is at least {LEAST_SPEEDUP:.1f}x"
    if scenes is None:
        return _unmeasured(text)
    speedup = over_scenes([scene["speedup"] for scene in scenes])
    return Claim(text=text, numbers=f"{speedup.text()}x", met=speedup.mean >= LEAST_SPEEDUP)


def _selective_claims(
    rows: Rows, plain: Mapping[Key, str], systems: Sequence[System]
) -> list[Claim]:
    """At every quality that both modes were run at: in the mean, and on the worst scene.

    Compared are the least times of the repeats, to which other load on the machine adds least. What
    the machine still adds shows in two systems that do equal work.
    """
    more = f"{SLOWEST_SELECTIVE - 1:.0%}"
    mean = f"selective is slower than fine by at most {more} in the mean over scenes"
    never = f"selective is slower than fine by at most {more} on every scene"
    pairs = [
        (quality, name, plain["fine", quality, ""])
        for (mode, quality, _), name in plain.items()
        if mode == "selective" and ("fine", quality, "") in plain
    ]
    if not pairs:
        return [_unmeasured(mean), _unmeasured(never)]
    means, worst = {}, {}
    for quality, selective, fine in pairs:
        own, other = (_seconds(rows, name, "seconds_least") for name in (selective, fine))
        means[f"{quality:g}"] = float(own.mean() / other.mean())
        worst[f"{quality:g}"] = float((own / other).max())
    numbers = _by_quality(worst) + _equal_work(rows, systems, pairs[0][2])
    return [
        Claim(text=mean, numbers=_by_quality(means), met=max(means.values()) <= SLOWEST_SELECTIVE),
        Claim(text=never, numbers=numbers, met=max(worst.values()) <= SLOWEST_SELECTIVE),
    ]


def _equal_work(rows: Rows, systems: Sequence[System], like: str) -> str:
    """How far two systems of equal work differ: those whose times are nearest to ``like``.

    Dense diffusion of as many steps, once as the pipeline has it, once by another solver or noise.
    """
    dense = [s for s in systems if s.mode == "diffusion" and s.name in rows]
    twins = [
        (a.name, b.name)
        for a in dense
        for b in dense
        if a.work == b.work and not a.solver and not a.other_noise and b is not a
    ]
    if not twins:
        return ""
    least = {
        name: _seconds(rows, name, "seconds_least") for pair in (*twins, (like,)) for name in pair
    }
    wanted = least[like].mean()
    first, second = min(twins, key=lambda pair: abs(np.log(least[pair[0]].mean() / wanted)))
    ratio = float((least[second] / least[first]).max())
    return f"; equal work ('{second}' over '{first}'): {ratio:.3f}"


def _by_quality(ratios: Mapping[str, float]) -> str:
    listed = ", ".join(f"{quality}: {ratio:.3f}" for quality, ratio in ratios.items())
    return f"selective over fine seconds by quality: {listed}"


def _tail_claim(rows: Rows, fine: str) -> Claim:
    text = f"{fine}: P95 latency falls at least as much as the mean"
    if fine not in rows or DENSE not in rows:
        return _unmeasured(text)
    dense, own = _seconds(rows, DENSE), _seconds(rows, fine)
    at_tail, in_mean = map(float, _falls(dense, own))

    def more_at_the_tail(draws: Int[np.ndarray, "r n"]) -> Float[np.ndarray, " r"]:
        tail, mean = _falls(dense[draws], own[draws])
        return tail / mean

    low, high = bootstrapped(len(dense), more_at_the_tail)
    ratio = Interval(mean=at_tail / in_mean, low=low, high=high, count=len(dense))
    return Claim(
        text=text,
        numbers=f"P95 falls {at_tail:.2f}x ({np.quantile(dense, TAIL):.2f} to "
        f"{np.quantile(own, TAIL):.2f} s), the mean {in_mean:.2f}x ({dense.mean():.2f} to "
        f"{own.mean():.2f} s), one over the other {ratio.text(3)}{_predicted_tail(rows, fine)}",
        met=at_tail >= in_mean,
    )


def _seconds(rows: Rows, system: str, key: str = "seconds") -> Float[np.ndarray, " scenes"]:
    return np.array([scene[key] for scene in rows[system]])


def _falls(
    dense: Float[np.ndarray, "*r n"], own: Float[np.ndarray, "*r n"]
) -> tuple[Float[np.ndarray, "*r"], Float[np.ndarray, "*r"]]:
    """How many times less the 95th percentile and the mean of the last axis are."""
    tail = np.quantile(dense, TAIL, axis=-1) / np.quantile(own, TAIL, axis=-1)
    return tail, dense.mean(-1) / own.mean(-1)


def _predicted_tail(rows: Rows, fine: str) -> str:
    """The same by the predictions of a cost table, which the machine's other load is not in."""
    key = "predicted_request"
    if not all(key in scene for system in (DENSE, fine) for scene in rows[system]):
        return ""
    at_tail, in_mean = _falls(_seconds(rows, DENSE, key), _seconds(rows, fine, key))
    return f"; as predicted {at_tail:.2f}x and {in_mean:.2f}x"


def _prediction_claim(rows: Rows, what: str, predicted: str, spent: str) -> Claim:
    text = (
        f"predicted {what} time is within {PREDICTION_ERROR:.0%} of the actual for at least "
        f"{LEAST_PREDICTED:.0%} of requests"
    )
    pairs = [
        (scene[predicted], scene[spent])
        for scenes in rows.values()
        for scene in scenes
        if scene["seconds_denoise"] > 0 and predicted in scene
    ]
    if not pairs:
        return _unmeasured(text, "no measured cost table was given (--cost)")
    share = within(pairs)
    return Claim(
        text=text, numbers=f"{share:.0%} of {len(pairs)} requests", met=share >= LEAST_PREDICTED
    )


def within(pairs: Sequence[tuple[float, float]], error: float = PREDICTION_ERROR) -> float:
    """Share of (predicted, actual) pairs whose relative error is at most ``error``."""
    return sum(abs(told - took) <= error * took for told, took in pairs) / len(pairs)


def _unmeasured(text: str, why: str = "the systems it needs were not run") -> Claim:
    return Claim(text=text, numbers=why, met=None)
