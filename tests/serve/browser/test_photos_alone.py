"""Photos without cameras in the page."""

import re

import pytest
from browsers import expect
from PIL import Image

pytestmark = pytest.mark.browser


def test_estimated_cameras_of_photos_alone_are_shown_and_again_after_a_reload(open_page, tmp_path):
    page = open_page()
    names = ["left.png", "right.jpg"]
    for name in names:
        Image.effect_noise((40, 32), 60).convert("RGB").save(tmp_path / name)
    page.locator("#files").set_input_files([tmp_path / name for name in names])
    note, space = page.locator("#sceneNote"), page.locator("#space")
    expect(note).to_contain_text("estimated by the job")
    expect(space).not_to_have_attribute("aria-label", re.compile("2 photos"))
    page.locator("#path").select_option("interpolate")
    page.get_by_label("Views", exact=True).fill("4")
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#state")).to_have_text(re.compile("^Done"))
    for _ in range(2):
        expect(note).to_contain_text("cameras were estimated")
        expect(space).to_have_attribute("aria-label", re.compile("2 photos.*4 views"))
        page.reload()


def test_photos_alone_need_their_cameras_where_nothing_estimates_them(open_page, tmp_path):
    def posed(route):
        described = route.fetch().json()
        described["data"][0]["unposed"] = False
        route.fulfill(json=described)

    page = open_page()
    page.route("**/v1/models", posed)
    page.reload()
    expect(page.locator("#model")).to_contain_text("denoising steps")
    Image.new("RGB", (40, 32)).save(tmp_path / "mine.png")
    page.locator("#files").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#sceneNote")).to_contain_text("Add their cameras.json")
