"""One self-contained HTML page per study: judge the method from this page alone."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = "page.html.jinja"


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
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"png": figure_png, "base64": _base64}
    template = (files(__package__) / TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(template).render(page=page)


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode()
