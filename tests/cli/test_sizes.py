"""``--size`` and ``--sizes``: pixels as one types them, height first."""

import json

import pytest
from PIL import Image

from sphinx_framework.cli.sizes import read_size
from sphinx_framework.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("192", (192, 192)),
        ("192x256", (192, 256)),
        (" 64x32 ", (64, 32)),
        ("999999", (999999,) * 2),
    ],
)
def test_one_number_is_a_square_and_two_are_height_and_width(text, size):
    assert read_size(text, "--size") == size


@pytest.mark.parametrize(
    "text",
    ["", "0", "0x96", "x96", "96x", "96X96", "96 x 96", "-96", "9.6", "²", "٩٦", "1e3", "96,96"],
)
def test_anything_else_is_one_sentence_that_names_the_option(text):
    with pytest.raises(ConfigError, match=r"^--size .*: not a size") as refused:
        read_size(text, "--size")
    assert "192x256" in refused.value.hint


def test_a_render_has_the_size_that_was_asked_for(command):
    ended = command.render("--mode", "regression", "--size", "32x48")
    assert ended.code == 0, ended.err
    with Image.open(command.out / "frames" / "000.png") as frame:
        assert frame.size == (48, 32)
    cameras = json.loads((command.out / "transforms.json").read_text())
    assert (cameras["h"], cameras["w"]) == (32, 48)


def test_a_size_that_is_none_ends_before_anything_is_written(command):
    ended = command.render("--size", "big")
    assert ended.code == 2
    assert ended.err.startswith("error: --size big: not a size.")
    assert not command.out.exists()
