import pytest
from browsers import PATIENCE_MS, launched
from page_server import COST, PLUGIN
from servers import FakeServer


@pytest.fixture(scope="session")
def chromium():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "cost.toml").write_text(COST)
    flags = ("--heartbeat-seconds", "0.3", "--cost", str(folder / "cost.toml"))
    flags += ("--set", "poses.use=own")
    made = FakeServer(folder, *flags, plugin=PLUGIN)
    made.environment["PAGE_HOLD"] = str(folder / "hold")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def held(site):
    """Slow jobs stand still until this is called."""
    hold = site.folder / "hold"
    hold.touch()
    yield lambda: hold.unlink()
    hold.unlink(missing_ok=True)


@pytest.fixture
def open_page(chromium, site):
    """Opens the page in a browser of its own; every error in its console fails the test."""
    contexts, errors = [], []

    def opened(path="/", **options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        page.goto(site.url + path)
        return page

    opened.errors = errors
    yield opened
    for context in contexts:
        context.close()
    assert not [error for error in errors if "Failed to load resource" not in error]


@pytest.fixture
def page(open_page):
    """The page with its sample at hand."""
    from browsers import expect

    page = open_page()
    expect(page.locator("#thumbnails img")).to_have_count(2)
    return page
