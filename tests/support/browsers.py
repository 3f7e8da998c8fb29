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
