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
        ("8192", (8192,) * 2),
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


@pytest.mark.parametrize("text", ["8193", "60000", "96x100000000", "999999999999999999"])
def test_a_size_beyond_the_limit_names_the_limit(text):
    with pytest.raises(ConfigError, match=r"^--size .*: too large; .* at most 8192 pixels"):
        read_size(text, "--size")


@pytest.mark.parametrize("size", ["[100000000, 96]", "[0, 0]", "[-1, 96]", "[96]", "[9.5, 96]"])
def test_a_config_s_size_has_the_same_bounds(command, size):
    ended = command.plan("--set", f"size={size}")
    assert ended.code == 2
    assert "key 'size" in ended.err
    assert len(ended.err.strip().splitlines()) <= 2


def test_full_memory_is_no_bug(command, monkeypatch):
    def full(arguments):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] can't allocate memory: you tried")

    monkeypatch.setattr("sphinx_framework.cli.main.function_of", lambda run: full)
    ended = command.plan()
    assert ended.code == 1
    assert "there is not enough memory" in ended.err
    assert "bug" not in ended.err


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
