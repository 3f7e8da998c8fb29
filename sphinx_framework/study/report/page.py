"""One self-contained HTML page per study: judge the method from this page alone."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px}
body{padding:0 1rem;color:#1c2026}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-size:12.5px;display:block;overflow-x:auto}
td,th{padding:.25rem .55rem;border-bottom:1px solid #e3e3e0;text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left;position:sticky;left:0;background:#fff}
table.text td,table.text th{text-align:left;white-space:normal}
img{max-width:100%;border:1px solid #e3e3e0}
pre{background:#f5f5f2;padding:.8rem;overflow:auto;font-size:12px}.note{color:#666}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A picture worth showing, and why."""

    title: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with remarks and a table; ``words`` tables are left-aligned and wrapped."""

    title: str
    lines: Sequence[Sequence[str]]
    remarks: Sequence[str] = ()
    words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything on the page, in order."""

    title: str
    facts: Mapping[str, str]
    remarks: Sequence[str]
    sections: Sequence[Section]
    figures: Mapping[str, "Figure"] = field(default_factory=dict)
    sheets: Sequence[Sheet] = ()
    config: str = ""


def figure_png(figure: "Figure") -> bytes:
    """PNG bytes of a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def page_html(page: Page) -> str:
    """The page's text; pictures are embedded, nothing is fetched."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{html.escape(page.title)}</title>",
        f"<style>{STYLE}</style><h1>{html.escape(page.title)}</h1>",
        _table([[key, value] for key, value in page.facts.items()], words=True, head=False),
    ]
    parts += [_note(remark) for remark in page.remarks]
    for section in page.sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts += [_note(remark) for remark in section.remarks]
        parts.append(_table(section.lines, words=section.words))
    for name, figure in page.figures.items():
        parts.append(f"<h2>{html.escape(name)}</h2>{_image(figure_png(figure), name)}")
    for sheet in page.sheets:
        parts.append(f"<h2>{html.escape(sheet.title)}</h2>{_image(sheet.png, sheet.title)}")
    parts.append(f"<h2>Pipeline</h2><pre>{html.escape(page.config)}</pre></html>")
    return "\n".join(parts)


def _note(text: str) -> str:
    return f"<p class=note>{html.escape(text)}</p>"


def _table(lines: Sequence[Sequence[str]], *, words: bool = False, head: bool = True) -> str:
    rows = []
    for number, line in enumerate(lines):
        tag = "th" if head and number == 0 else "td"
        rows.append("<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line))
    return f"<table{' class=text' if words else ''}>" + "".join(rows) + "</table>"


def _image(png: bytes, alt: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
