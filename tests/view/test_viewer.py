"""The viewer in headless Chromium: one test, since viser and WebGL in software take seconds."""

import io
import json
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
    process.wait(20)
    process.stdout.close()


def pixels(page):
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(shot).astype(int)[:, :600]  # left of the panel


def follows(page, slider):
    """Whether the panel follows one key; viser's page may lose what is typed while it loads."""
    from playwright.sync_api import expect

    page.keyboard.press("ArrowRight")
    number = slider.get_attribute("aria-valuenow")
    try:
        expect(page.get_by_text(f"Frame {number}")).to_be_visible(timeout=20_000)
    except AssertionError:
        return False
    return int(number) > 0


def test_the_viewer_shows_gaussians_and_moves_through_frames(address):
    from playwright.sync_api import expect

    with launched(*WEBGL) as browser:
        page = browser.new_page(viewport={"width": 960, "height": 600})
        page.goto(address)
        expect(page.get_by_text("Frame 0")).to_be_visible(timeout=120_000)
        slider = page.get_by_role("slider").first
        slider.focus()
        assert any(follows(page, slider) for _ in range(3))
        red = 0.0
        for _ in range(480):  # software WebGL draws in its own time, on a busy machine too
            shot = pixels(page)
            red = ((shot[..., 0] > 120) & (shot[..., 1:] < 90).all(-1)).mean()
            if red > 0.02:
                break
            page.wait_for_timeout(250)
        assert red > 0.02
