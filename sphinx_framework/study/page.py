"""One self-contained HTML page per evaluation: judge the method from this page alone."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx_framework.study.summary import COLUMNS, Rows, cell, intervals, p95

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px}
body{padding:0 1rem;color:#1c2026}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-size:12.5px;display:block;overflow-x:auto}
td,th{padding:.25rem .55rem;border-bottom:1px solid #e3e3e0;text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left;position:sticky;left:0;background:#fff}
img{max-width:100%;border:1px solid #e3e3e0}
pre{background:#f5f5f2;padding:.8rem;overflow:auto;font-size:12px}.note{color:#666}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A contact sheet worth showing, and why."""

    title: str
    path: Path


def figure_png(figure: "Figure") -> bytes:
    """PNG bytes of a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def write_page(
    path: Path,
    rows: Rows,
    *,
    title: str,
    facts: dict[str, str],
    figures: dict[str, "Figure"],
    sheets: Sequence[Sheet],
    config: str,
    remarks: Sequence[str],
) -> None:
    """Write the page; pictures are embedded, nothing is fetched."""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>",
        "<table>"
        + "".join(
            f"<tr><td>{html.escape(k)}<td style='text-align:left'>{html.escape(v)}"
            for k, v in facts.items()
        )
        + "</table>",
    ]
    parts += [f"<p class=note>{html.escape(remark)}" for remark in remarks]
    parts.append("<h2>All systems</h2>" + _table(rows))
    for name, figure in figures.items():
        parts.append(f"<h2>{html.escape(name)}</h2>{_image(figure_png(figure), name)}")
    for sheet in sheets:
        parts.append(
            f"<h2>{html.escape(sheet.title)}</h2>{_image(sheet.path.read_bytes(), sheet.title)}"
        )
    parts.append(f"<h2>Pipeline</h2><pre>{html.escape(config)}</pre></html>")
    path.write_text("\n".join(parts), encoding="utf-8")


def _table(rows: Rows) -> str:
    by_column = [intervals(rows, column.key) for column in COLUMNS]
    tail = p95(rows)
    heads = "".join(f"<th>{html.escape(c.head)}" for c in COLUMNS) + "<th>P95 seconds"
    lines = [f"<table><tr><th>system{heads}"]
    for system in rows:
        cells = "".join(
            f"<td>{cell(by[system], column)}" for by, column in zip(by_column, COLUMNS, strict=True)
        )
        lines.append(f"<tr><td>{html.escape(system)}{cells}<td>{tail[system]:.2f}")
    return "".join(lines) + "</table>"


def _image(png: bytes, alt: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
