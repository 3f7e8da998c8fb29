"""The viewer in headless Chromium: one test, since viser and WebGL in software take seconds."""

import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from browsers import launched
from PIL import Image

pytestmark = pytest.mark.browser
WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@pytest.fixture
def address(result_folder):
    pytest.importorskip("viser")
    command = [sys.executable, "-m", "sphinx_framework", "view", str(result_folder)]
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["url"]
    process.terminate()
    process.wait(120)
    process.stdout.close()


def pixels(page):
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(shot).astype(int)[:, :600]  # left of the panel


def drawn_red(page):
    """Share of red in what is drawn; software WebGL draws in its own time."""
    red = 0.0
    for _ in range(120):
        shot = pixels(page)
        red = ((shot[..., 0] > 120) & (shot[..., 1:] < 90).all(-1)).mean()
        if red > 0.02:
            break
        page.wait_for_timeout(250)
    return red


def answering_page(browser, address, patience):
    """A page whose panel follows a key; ``None`` where it does not.

    viser's page reads messages while it draws, and now and then the first drawing of software
    WebGL never ends: such a page is dead, and another one works.
    """
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": 960, "height": 600})
    page.set_default_timeout(120_000)
    page.goto(address)
    expect(page.get_by_text(re.compile(r"^Frame \d"))).to_be_visible(timeout=120_000)
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    number = int(slider.get_attribute("aria-valuenow"))
    assert number > 0
    try:
        expect(page.get_by_text(f"Frame {number}")).to_be_visible(timeout=patience)
    except AssertionError:
        page.close()
        return None
    return page


def test_the_viewer_shows_gaussians_and_moves_through_frames(address):
    with launched(*WEBGL) as browser:
        patience = (10_000, 15_000, 20_000, 30_000, 60_000, 120_000)
        pages = (answering_page(browser, address, most) for most in patience)
        red = 0.0
        for page in pages:  # one may answer, and never draw
            red = 0.0 if page is None else drawn_red(page)
            if red > 0.02:
                break
        assert red > 0.02
