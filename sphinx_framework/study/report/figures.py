"""Figures of a study, as matplotlib figures: trade-off, stages, start steps, effects of factors."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.schedule import METHOD_MODES
from sphinx_framework.study.evaluate.evaluation import STAGES
from sphinx_framework.study.evaluate.systems import System
from sphinx_framework.study.report.pareto import mean_points, pareto
from sphinx_framework.study.report.summary import Rows, intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUALITY_KEYS = (
    ("kept", "score kept of full diffusion"),
    ("psnr", "PSNR (dB)"),
    ("ssim", "SSIM"),
    ("gms", "gradient similarity"),
    ("features", "feature distance (smaller is closer)"),
)
SMALLER_IS_BETTER = ("features",)
CLOSE = 0.15  # of the cost: points of equal quality this near are one in a figure


def require_matplotlib() -> None:
    """Raise :class:`ConfigError` now rather than after hours of measuring."""
    try:
        import matplotlib.figure  # noqa: F401
        import skimage.metrics  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"this command needs {error.name}.", hint="pip install 'sphinx-framework[study]'"
        ) from None


def trade_off(rows: Rows, systems: Sequence[System], cost: str = "seconds") -> "Figure":
    """Quality against cost, one panel per quality measure; the front is drawn as a line."""
    shown = [(key, label) for key, label in QUALITY_KEYS if mean_points(rows, key, cost)]
    figure, panels = _panels(max(1, len(shown)))
    families = dict.fromkeys(system.family for system in systems)
    for panel, (key, label) in zip(panels, shown, strict=False):
        points = mean_points(rows, key, cost)
        spread = intervals(rows, key)
        for index, family in enumerate(families):
            named = [s.name for s in systems if s.family == family and s.name in points]
            if not named:
                continue
            panel.errorbar(
                [points[n][0] for n in named],
                [points[n][1] for n in named],
                yerr=[
                    [spread[n].mean - spread[n].low for n in named],
                    [spread[n].high - spread[n].mean for n in named],
                ],
                fmt="o",
                color=f"C{index % 10}",
                label=family,
                markersize=5,
                elinewidth=0.8,
            )
        for (taken, value), qualities in _dial(systems, points).items():
            panel.annotate(
                ", ".join(f"{quality:g}" for quality in sorted(qualities)),
                (taken, value),
                xytext=(4, -9),
                textcoords="offset points",
                fontsize=6,
            )
        better = -1 if key in SMALLER_IS_BETTER else 1
        front = pareto({n: (taken, better * value) for n, (taken, value) in points.items()})
        if better < 0:
            panel.invert_yaxis()  # up is better in every panel
        panel.plot(
            [points[n][0] for n in front],
            [points[n][1] for n in front],
            "k--",
            linewidth=0.8,
            label="Pareto front",
        )
        _log_ticks(panel)
        panel.set_xlabel("joules per request" if cost == "joules" else "seconds per request")
        panel.set_ylabel(label)
        panel.grid(alpha=0.25)
    if shown:
        # Below the panels: inside of one it covers points.
        across = max(1, len(shown)) * 2
        told = panels[0].get_legend_handles_labels()
        lines = -(-len(told[0]) // across)
        below = (0.22 * lines + 0.1) / figure.get_figheight()
        figure.legend(*told, loc="lower center", ncols=across, fontsize=8, frameon=False)
        figure.tight_layout(rect=(0, below, 1, 1))
    return figure


def _log_ticks(panel: Any) -> None:
    """A logarithmic axis with plain numbers: 0.2, 0.5, 1, 2, 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _dial(
    systems: Sequence[System], points: Mapping[str, tuple[float, float]]
) -> dict[tuple[float, float], list[float]]:
    """Qualities of the method's own systems where they are drawn; those that coincide together."""
    found: dict[tuple[float, float], list[float]] = {}
    for system in systems:
        if system.mode not in METHOD_MODES or not system.plain or system.name not in points:
            continue
        taken, value = points[system.name]
        near = next(
            (at for at in found if abs(taken / at[0] - 1) < CLOSE and math.isclose(value, at[1])),
            (taken, value),
        )
        found.setdefault(near, []).append(system.quality)
    return found


def stages(rows: Rows) -> "Figure":
    """Mean seconds by stage, one bar per system."""
    figure, (panel,) = _panels(1, width=9, height=0.3 * len(rows) + 1.4)
    names = list(rows)[::-1]
    left = np.zeros(len(names))
    for stage in STAGES:
        by_system = intervals(rows, f"seconds_{stage}")
        means = np.nan_to_num([by_system[name].mean for name in names])
        panel.barh(names, means, left=left, label=stage)
        left += means
    panel.set_xlabel("mean seconds per request")
    panel.legend(fontsize=8)
    figure.tight_layout()
    return figure


def start_steps(starts: Mapping[str, Sequence[int]], num_steps: int) -> "Figure":
    """How often each start step was chosen, one panel per system; the last bar is 'as rendered'."""
    figure, panels = _panels(max(1, len(starts)), width=3.4, height=2.8)
    width = max(1, num_steps // 10)
    edges = np.arange(0, num_steps + 2 * width, width)
    for panel, (name, chosen) in zip(panels, starts.items(), strict=False):
        counts, _ = np.histogram(chosen, edges)
        shares = counts / max(1, len(chosen))
        colours = ["C1" if low <= num_steps < low + width else "C0" for low in edges[:-1]]
        panel.bar(edges[:-1], shares, width=0.9 * width, align="edge", color=colours)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel(f"start step ({num_steps}: as rendered)")
        panel.set_ylabel("share of frames")
        panel.grid(alpha=0.25, axis="y")
    figure.tight_layout()
    return figure


def kept_distribution(rows: Rows, systems: Sequence[System]) -> "Figure":
    """Score kept per scene against the target, one box per system of the method."""
    shown = [s for s in systems if s.name in rows and s.mode not in ("diffusion", "regression")]
    figure, (panel,) = _panels(1, width=9, height=0.3 * len(shown) + 1.4)
    values = [[scene["kept"] for scene in rows[s.name]] for s in shown[::-1]]
    if values:
        panel.boxplot(values, orientation="horizontal")
        panel.set_yticks(range(1, len(shown) + 1), [s.name for s in shown[::-1]])
        panel.plot([s.quality for s in shown[::-1]], range(1, len(shown) + 1), "r|", markersize=12)
    panel.set_xlabel("score kept per scene (red: the target)")
    panel.grid(alpha=0.25, axis="x")
    figure.tight_layout()
    return figure


def factor_effects(rows: Rows, systems: Sequence[System]) -> "Figure":
    """What every factor of a sweep does to seconds and score kept, averaged over the others."""
    varied = [s for s in systems if s.name in rows and s.mode not in ("diffusion", "regression")]
    keys = ["quality", *dict.fromkeys(key for s in varied for key in s.changes)]
    figure, panels = _panels(2 * len(keys), width=3.6, height=3.0)
    for position, key in enumerate(keys):
        for offset, (figure_key, label) in enumerate(
            (("seconds", "seconds per request"), ("kept", "score kept"))
        ):
            panel = panels[2 * position + offset]
            for mode in dict.fromkeys(s.mode for s in varied):
                points = _effect([s for s in varied if s.mode == mode], rows, key, figure_key)
                panel.plot(list(points), list(points.values()), "o-", label=mode, markersize=4)
            panel.set_xlabel(key)
            panel.set_ylabel(label)
            panel.grid(alpha=0.25)
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    return figure


def _effect(systems: Sequence[System], rows: Rows, key: str, figure_key: str) -> dict[str, float]:
    """Mean of a figure by the value of a factor, over all systems with that value."""
    groups: dict[Any, list[float]] = {}
    for system in systems:
        value = system.quality if key == "quality" else system.changes.get(key)
        groups.setdefault(value, []).extend(scene[figure_key] for scene in rows[system.name])
    try:
        ordered = sorted(groups)
    except TypeError:
        ordered = list(groups)
    return {f"{value}": float(np.mean(groups[value])) for value in ordered}


def _panels(count: int, width: float = 4.6, height: float = 3.6) -> tuple["Figure", list[Any]]:
    """Panels side by side, at most four in a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(4, count)
    down = -(-count // across)
    figure = Figure(figsize=(width * across, height * down), dpi=110)
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(down, across, i + 1) for i in range(count)]
