"""Headless Chromium of the machine, by playwright; tests are skipped where either is missing."""

import shutil
from contextlib import contextmanager

import pytest

PATIENCE_MS = 60_000  # a busy machine is no failure
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def launched(*flags):
    """A running browser."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)})")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *flags])
        yield browser
        browser.close()


def expect(*arguments):
    """playwright's, with patience."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_MS)
    return expect(*arguments)


def chosen_before(page, path, photo):
    """Choose a photo while the server's answer at this path is held back; call to let it come."""
    from PIL import Image

    Image.new("RGB", (40, 32)).save(photo)
    waiting = []
    page.route(path, lambda route: waiting.append(route))
    page.reload()
    page.locator("#files").set_input_files(photo)

    def answer():
        for _ in range(1200):
            if waiting:
                break
            page.wait_for_timeout(50)
        waiting[0].continue_()

    return answer
