"""WCAG AA contrast of every pair of colours that the page puts together, light and dark."""

import re

import pytest

from sphinx_framework.serve.page import FOLDER

TEXT = 4.5
SHAPE = 3.0
PAIRS = [
    *(
        (name, paper, TEXT)
        for name in ("ink", "soft", "mark", "bad", "good")
        for paper in ("paper", "panel")
    ),
    ("on-mark", "mark", TEXT),
    ("ink", "bad-paper", TEXT),
    ("bad", "bad-paper", TEXT),
    ("photo", "paper", TEXT),
    ("path", "paper", TEXT),
    *((name, "panel", SHAPE) for name in ("line", "mark", "path")),
    ("line", "paper", SHAPE),
]


def themes():
    text = (FOLDER / "colours.css").read_text()
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", text)
    return [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block)) for block in blocks]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_the_standard_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_dark_theme_of_the_system_and_the_chosen_one_are_the_same():
    light, system, chosen = themes()
    assert system == chosen
    assert system.keys() == light.keys()


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_colours_have_enough_contrast(theme, front, back, least):
    colours = themes()[theme]
    assert contrast(colours[front], colours[back]) >= least


def test_every_colour_of_the_styles_comes_from_the_theme():
    fixed = {"#fff", "#000"}
    for name in ("page.css", "result.css"):
        text = (FOLDER / name).read_text()
        found = set(re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{}]*\{)", text))
        assert found <= fixed, name
