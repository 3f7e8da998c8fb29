"""Figures of an evaluation, as matplotlib figures: trade-off, stages, start steps."""

from typing import TYPE_CHECKING, Any

import numpy as np

from sphinx_framework.study.evaluation import STAGES
from sphinx_framework.study.summary import Rows, intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUALITY_KEYS = (
    ("kept", "score kept of full diffusion"),
    ("psnr", "PSNR (dB)"),
    ("gms", "gradient similarity"),
)


def _family(system: str) -> str:
    return system.split()[0].rstrip(",")


def pareto(points: dict[str, tuple[float, float]]) -> list[str]:
    """Systems that no other beats in both seconds (less) and quality (more), by seconds."""
    ranked = sorted(points, key=lambda name: (points[name][0], -points[name][1]))
    best, front = float("-inf"), []
    for name in ranked:
        if points[name][1] > best:
            front.append(name)
            best = points[name][1]
    return front


def trade_off(rows: Rows) -> "Figure":
    """Quality against seconds, one panel per quality measure; the front is drawn as a line."""
    figure, panels = _panels(len(QUALITY_KEYS))
    seconds = intervals(rows, "seconds")
    for panel, (key, label) in zip(panels, QUALITY_KEYS, strict=True):
        quality = intervals(rows, key)
        points = {
            name: (seconds[name].mean, quality[name].mean)
            for name in rows
            if np.isfinite(quality[name].mean)
        }
        for index, family in enumerate(dict.fromkeys(_family(name) for name in points)):
            named = [name for name in points if _family(name) == family]
            panel.errorbar(
                [points[n][0] for n in named],
                [points[n][1] for n in named],
                yerr=[
                    [quality[n].mean - quality[n].low for n in named],
                    [quality[n].high - quality[n].mean for n in named],
                ],
                fmt="o",
                color=f"C{index}",
                label=family,
                markersize=5,
                elinewidth=0.8,
            )
        front = pareto(points)
        panel.plot(
            *zip(*(points[n] for n in front), strict=True), "k--", linewidth=0.8, label="front"
        )
        panel.set_xscale("log")
        panel.set_xlabel("seconds per request")
        panel.set_ylabel(label)
        panel.grid(alpha=0.25)
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    return figure


def stages(rows: Rows) -> "Figure":
    """Mean seconds by stage, one bar per system."""
    figure, (panel,) = _panels(1, width=8, height=0.32 * len(rows) + 1.2)
    names = list(rows)[::-1]
    left = np.zeros(len(names))
    for stage in STAGES:
        means = [intervals(rows, f"seconds_{stage}")[name].mean for name in names]
        panel.barh(names, means, left=left, label=stage)
        left += np.nan_to_num(means)
    panel.set_xlabel("mean seconds per request")
    panel.legend(fontsize=8)
    figure.tight_layout()
    return figure


def _panels(count: int, width: float = 4.6, height: float = 3.6) -> tuple["Figure", list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count if count > 1 else width, height), dpi=110)
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, count, i + 1) for i in range(count)]
