"""Make docs/images/page.png: the page of ``sphinx-nvs serve --config lite`` after one job.

    python docs/make_page.py

Needs the extra ``serve``, playwright and a Chromium of the system.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Serve, render the sample, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "images" / "page.png")
    arguments = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        parser.error(f"no browser found on the PATH: {', '.join(BROWSERS)}; install one of them")
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "sphinx_framework", "serve", "--config", "lite"]
        flags = ["--device", "cpu", "--port", "0", "--data", data]
        server = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            photograph(browser, server.stdout.readline().split()[-1], arguments.out)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def photograph(executable: str, url: str, out: Path) -> None:
    """One job of the sample, then the whole page."""
    from PIL import Image
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=120_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1180})
        page.goto(url)
        expect(page.locator("#thumbnails img").first).to_be_visible()
        page.get_by_role("button", name="Render").click()
        expect(page.locator("#state")).to_have_text(re.compile("^Done"))
        expect(page.locator("#rungs button").first).to_be_visible()
        page.locator("#scrub").fill("2")
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.wait_for_timeout(700)
        page.screenshot(path=out, full_page=True)
        Image.open(out).convert("RGB").quantize(256).save(out, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
