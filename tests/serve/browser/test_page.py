"""The page as its users meet it, in headless Chromium against a server on fakes."""

import json
import re
import zipfile

import pytest
from browsers import chosen_before, expect
from page_server import FAILING_TARGETS, SLOW_TARGETS, cameras_json
from PIL import Image

pytestmark = pytest.mark.browser
DONE = re.compile("^Done")


def shown(page, image):
    """Whether a picture has been loaded and decoded."""
    return page.locator(image).evaluate("i => i.decode().then(() => i.naturalWidth > 0)")


def render(page):
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#state")).to_have_text(DONE)


def orbit(page, count):
    page.locator("#path").select_option("orbit")
    page.get_by_label("Views", exact=True).fill(str(count))


def test_a_sample_becomes_frames_a_comparison_and_downloads(page):
    render(page)
    expect(page.locator("#strip li")).to_have_count(6)
    expect(page.locator("#why")).to_contain_text("Frame 1")
    expect(page.locator("#chart svg rect")).to_have_count(6)
    assert shown(page, "#before")
    assert shown(page, "#after")
    assert page.locator("#before").get_attribute("src") != page.locator("#after").get_attribute(
        "src"
    )

    page.get_by_label("Regression against result").fill("20")
    assert page.locator("#before").evaluate("i => i.style.clipPath") == "inset(0px 80% 0px 0px)"
    page.locator("#scrub").fill("3")
    expect(page.locator("#frameText")).to_have_text("4 of 6")
    expect(page.locator("#why")).to_contain_text("Frame 4")

    with page.expect_download() as started:
        page.get_by_role("button", name="Everything").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        assert "frames/003.png" in archive.namelist()
    with page.expect_download() as started:
        page.get_by_role("button", name="Video").click()
    assert started.value.suggested_filename.endswith("video.mp4")


def test_what_every_quality_would_cost_stands_beside_the_dial(page):
    render(page)
    rungs = page.locator("#rungs button")
    expect(rungs).to_have_count(3)
    expect(page.locator("#cost")).to_have_text(re.compile(r"about \d"))
    expect(page.locator("#qualityNote")).to_have_text(re.compile("^The share of "))
    costs = [float(text.split()[-2]) for text in rungs.all_inner_texts()]
    assert costs == sorted(costs)
    rungs.first.press("Enter")
    expect(page.locator("#qualityText")).to_have_text("80 %")
    expect(rungs.first).to_have_attribute("aria-pressed", "true")
    expect(rungs.first).to_be_focused()
    page.get_by_label("Mode").select_option("regression")
    expect(rungs).to_have_count(0)


def test_own_photos_with_their_cameras_are_rendered(open_page, tmp_path):
    page = open_page()
    names = ["left.png", "right.jpg"]
    for name in names:
        Image.effect_noise((40, 32), 60).convert("RGB").save(tmp_path / name)
    page.locator("#files").set_input_files([tmp_path / name for name in names])
    expect(page.locator("#sceneNote")).to_contain_text("estimated by the job")
    own = page.locator("#path option[value=own]")
    expect(own).to_be_disabled()  # photos alone name no targets
    (tmp_path / "cameras.json").write_text(json.dumps(cameras_json(names)))
    page.locator("#files").set_input_files(tmp_path / "cameras.json")
    expect(page.locator("#thumbnails img")).to_have_count(2)
    expect(own).to_be_enabled()
    expect(page.locator("#space")).to_have_attribute("aria-label", re.compile("2 photos"))
    page.locator("#path").select_option("dolly")
    page.get_by_label("Views", exact=True).fill("3")
    expect(page.locator("#space")).to_have_attribute("aria-label", re.compile("3 views"))
    render(page)
    expect(page.locator("#strip li")).to_have_count(3)


def test_a_scene_folder_is_packed_and_rendered(open_page, site):
    page = open_page()
    photos = sorted((site.scene / "images").iterdir())
    page.locator("#files").set_input_files([*photos, site.scene / "transforms.json"])
    expect(page.locator("#sceneNote")).to_contain_text("scene.zip")
    render(page)
    expect(page.locator("#thumbnails img")).to_have_count(2)
    expect(page.locator("#space")).to_have_attribute("aria-label", re.compile("2 photos"))


def test_files_that_are_chosen_before_the_samples_are_known_stay_chosen(page, tmp_path):
    answer = chosen_before(page, "**/v1/scenes", tmp_path / "mine.png")
    expect(page.locator("#sceneNote")).to_contain_text("1 photo(s)")
    answer()
    expect(page.locator("#samplesRow")).to_be_visible()
    page.wait_for_timeout(300)
    expect(page.locator("#sceneNote")).to_contain_text("1 photo(s)")


def test_photos_chosen_before_the_server_has_said_what_it_runs_are_told_of_cameras(page, tmp_path):
    answer = chosen_before(page, "**/v1/models", tmp_path / "mine.png")
    expect(page.locator("#sceneNote")).to_have_text("1 photo(s).")
    answer()
    expect(page.locator("#sceneNote")).to_contain_text("estimated by the job")


def test_the_mask_is_drawn_over_the_frame(page):
    render(page)
    page.get_by_label("Show the mask").check()
    painted = """c => {
      const data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      return data.filter((v, i) => i % 4 === 3 && v > 0).length / (data.length / 4);
    }"""
    share = page.locator("#mask").evaluate(painted)
    said = re.search(r"The mask marks (\d+) %", page.locator("#why").inner_text())
    assert said is not None
    assert share == pytest.approx(int(said[1]) / 100, abs=0.06)


def test_every_denoising_step_is_seen_but_only_stages_are_spoken(page, held):
    page.evaluate(
        """() => { window.spoken = [];
        new MutationObserver(() => window.spoken.push(document.getElementById("live").textContent))
          .observe(document.getElementById("live"), { childList: true }); }"""
    )
    orbit(page, SLOW_TARGETS)
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#state")).to_contain_text("Refining: step")
    assert "%" in page.title() or "…" in page.title()
    held()
    expect(page.locator("#state")).to_have_text(DONE)
    spoken = page.evaluate("() => window.spoken")
    assert len([text for text in spoken if text.startswith("Refining")]) <= 1
    assert spoken[-1].startswith("Done")
    assert page.title() == "sphinx-nvs"


def test_what_the_server_refuses_is_said_and_focused(open_page, tmp_path):
    page = open_page()
    expect(page.locator("#thumbnails img")).to_have_count(2)
    (tmp_path / "photo.png").write_bytes(b"not a picture at all")
    (tmp_path / "cameras.json").write_text(json.dumps(cameras_json(["photo.png"])))
    page.locator("#files").set_input_files([tmp_path / "photo.png", tmp_path / "cameras.json"])
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#problem")).to_contain_text("photo.png: is not a PNG, JPEG or WebP image")
    expect(page.locator("#problem")).to_be_focused()


def test_a_field_that_the_server_refuses_is_marked(page):
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Seed").fill("-1")
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#problem")).to_contain_text("seed")
    expect(page.get_by_label("Seed")).to_have_attribute("aria-invalid", "true")


def test_a_failed_job_says_why(page):
    orbit(page, FAILING_TARGETS)
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#state")).to_contain_text("raised RuntimeError")
    expect(page.locator("#bar")).to_have_attribute("value", "0")


def test_a_reload_in_the_middle_resumes_the_job(page, held):
    orbit(page, SLOW_TARGETS)
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#strip li")).to_have_count(SLOW_TARGETS)
    address = page.url
    assert re.search("#job_[0-9a-z]{26}$", address)
    page.reload()
    expect(page.locator("#strip li")).to_have_count(SLOW_TARGETS)
    expect(page.get_by_role("button", name="Cancel")).to_be_enabled()
    held()
    expect(page.locator("#state")).to_have_text(DONE)
    assert page.url == address
    expect(page.locator("#thumbnails img")).to_have_count(2)


def test_a_running_job_is_canceled(page, held):
    orbit(page, SLOW_TARGETS)
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#strip li")).to_have_count(SLOW_TARGETS)
    page.get_by_role("button", name="Cancel").click()
    # The cameras are listed before the first step begins: a job between stages ends at once.
    expect(page.locator("#state")).to_have_text(
        re.compile(r"Stopping at the next step\.|Canceled\.")
    )
    held()
    expect(page.locator("#state")).to_have_text("Canceled.")


def test_a_recent_job_is_opened_and_forgotten(page):
    render(page)
    first = page.url
    page.get_by_label("Seed").evaluate("i => { i.value = 7; }")
    render(page)
    assert page.url != first
    page.locator(f"#recent a[href='{first[first.index('#') :]}']").click()
    expect(page.locator("#recent a[aria-current=true]")).to_have_attribute(
        "href", re.compile("job")
    )
    expect(page.locator("#state")).to_have_text(DONE)
    before = page.locator("#recent li").count()
    page.locator("#recent li:has(a[aria-current=true]) button").click()
    expect(page.locator("#recent a[aria-current=true]")).to_have_count(0)
    assert page.locator("#recent li").count() <= before


def test_key_frames_make_a_path(page):
    page.locator("#path").select_option("keys")
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#problem")).to_contain_text("at least two key frames")
    page.get_by_label("Add photo").select_option("1")
    page.get_by_label("Add photo").select_option("2")
    page.get_by_role("button", name="Move up key frame 2").click()
    expect(page.locator("#keys li").first).to_contain_text("photo 2")
    page.get_by_label("Views", exact=True).fill("4")
    render(page)
    expect(page.locator("#strip li")).to_have_count(4)


def test_the_keyboard_alone_is_enough(page):
    page.keyboard.press("Tab")
    expect(page.locator(".skip").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_focused()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "space":
            before = page.locator("#space").evaluate("c => c.toDataURL()")
            page.keyboard.press("ArrowRight")
            page.wait_for_function(
                "before => document.getElementById('space').toDataURL() != before", arg=before
            )
        outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("() => document.activeElement.id") == "files"
        if page.evaluate("() => document.activeElement.id") == "go":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text(DONE)
    page.locator("#scrub").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#frameText")).to_have_text("2 of 6")


def test_a_phone_shows_everything_without_scrolling_sideways(open_page, page):
    render(page)
    phone = open_page(
        "/" + page.url[page.url.index("#") :],
        viewport={"width": 360, "height": 740},
        is_mobile=True,
        has_touch=True,
    )
    expect(phone.locator("#state")).to_have_text(DONE)
    assert phone.evaluate("() => document.documentElement.scrollWidth") == 360
    small = "e => e.offsetParent && e.type !== 'file' && e.getBoundingClientRect().height < 24"
    assert (
        phone.locator("button, select, input").evaluate_all(
            f"all => all.filter({small}).map(e => e.id)"
        )
        == []
    )


def test_a_server_that_goes_away_is_announced_and_found_again(page):
    page.route("**/v1/jobs/*/events", lambda route: route.abort())
    orbit(page, 5)
    page.get_by_role("button", name="Render").click()
    expect(page.locator("#banner")).to_contain_text("does not answer")
    page.unroute("**/v1/jobs/*/events")
    expect(page.locator("#state")).to_have_text(DONE)
    expect(page.locator("#banner")).to_be_hidden()
