"""The page stands alone, and shows text as text."""

import base64
import re
from html.parser import HTMLParser

import pytest

from sphinx_framework.study.evaluate.systems import System
from sphinx_framework.study.report.figures import (
    factor_effects,
    kept_distribution,
    start_steps,
    trade_off,
)
from sphinx_framework.study.report.page import Page, Section, Sheet, figure_png, page_html

PNG = b"\x89PNG\r\n\x1a\n"


class Fetches(HTMLParser):
    """Everything the page would load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]


def page(**changes):
    values = {
        "title": "A <study>",
        "facts": {"command": "a & b"},
        "remarks": ["measured <here>"],
        "sections": [Section(title="All", lines=[["system", "x"], ["<script>", "not measured"]])],
        "figures": {"Start steps": start_steps({"fine": [0, 10, 50]}, 50)},
        "sheets": [Sheet(title="Worst", png=PNG)],
        "config": "{}",
    }
    return page_html(Page(**{**values, **changes}))


def test_nothing_is_fetched():
    reader = Fetches()
    reader.feed(page())
    assert len(reader.found) == 2
    assert all(source.startswith("data:image/png;base64,") for source in reader.found)
    assert not re.search(r"https?://|@import|url\(", page())


def test_text_is_not_markup():
    text = page()
    assert "<script>" not in text
    assert "A &lt;study&gt;" in text
    assert "a &amp; b" in text


def test_pictures_are_whole():
    data = re.findall(r"base64,([^\"]+)", page())
    assert base64.b64decode(data[-1]) == PNG
    assert base64.b64decode(data[0]).startswith(PNG)


def systems():
    return [
        System(name="diffusion", family="diffusion", mode="diffusion", quality=0.9),
        System(name="a", family="fine", mode="fine", quality=0.9, changes={"plan.stride": 1}),
        System(name="b", family="fine", mode="fine", quality=0.8, changes={"plan.stride": 2}),
    ]


def rows(**more):
    return {
        s.name: [{"seconds": 1.0 + i, "kept": 1 - 0.1 * i, **more}] * 2
        for i, s in enumerate(systems())
    }


@pytest.mark.parametrize("more", [{}, {"psnr": 20.0, "gms": 0.9}], ids=["no truth", "truth"])
def test_figures_show_what_was_measured(more):
    figure = trade_off(rows(**more), systems())
    assert len(figure.axes) == (3 if more else 1)
    assert figure_png(figure).startswith(PNG)


def test_points_of_the_dial_carry_their_qualities_those_that_coincide_together():
    dial = [
        System(name=f"fine {q}", family="fine", mode="fine", quality=q) for q in (0.8, 0.9, 1.0)
    ]
    seconds = {0.8: 1.0, 0.9: 1.05, 1.0: 3.0}
    measured = {
        s.name: [{"seconds": seconds[s.quality], "kept": 0.5 + (s.quality == 1)}] * 2 for s in dial
    }
    figure = trade_off(measured, dial)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.8, 0.9", "1"]


def test_the_effect_of_every_factor_is_drawn_against_time_and_quality():
    figure = factor_effects(rows(), systems())
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert labels == ["quality", "quality", "plan.stride", "plan.stride"]


def test_start_steps_are_shares_of_frames():
    figure = start_steps({"fine": [0, 0, 10, 50]}, 50)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(heights) == pytest.approx(1)
    assert heights[0] == 0.5
    assert heights[-1] == 0.25


def test_only_the_method_is_held_against_its_target():
    ticks = [t.get_text() for t in kept_distribution(rows(), systems()).axes[0].get_yticklabels()]
    assert ticks == ["b", "a"]
