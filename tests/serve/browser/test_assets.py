"""How the page's parts are served; no browser is needed."""

import re

import httpx
import pytest

from sphinx_framework.serve import page


@pytest.fixture(scope="module")
def names():
    return sorted(page.ASSETS)


def test_assets_are_kept_forever_under_their_digest_and_the_page_is_asked_for_again(site):
    answer = httpx.get(site.url + "/")
    assert answer.headers["cache-control"] == "no-cache"
    again = httpx.get(site.url + "/", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    [app] = re.findall('src="(/static/[0-9a-f]{16}/app.js)"', answer.text)
    script = httpx.get(site.url + app)
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    other = app.replace(page.DIGEST, "0" * 16)
    assert httpx.get(site.url + other).status_code == 404


def test_the_policy_allows_no_inline_script_and_no_other_host(site):
    policy = httpx.get(site.url + "/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'none'" in policy
    markup = page.ASSETS[page.PAGE].content.decode()
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", markup)


def test_no_part_names_another_host(names):
    for name in names:
        text = page.ASSETS[name].content.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search("https?:|//[a-z]+\\.[a-z]", text), name


def test_scripts_are_small_and_their_imports_exist(names):
    for name in names:
        lines = page.ASSETS[name].content.decode().splitlines()
        assert len(lines) < 250, name
        for line in lines:
            for wanted in re.findall(r'from "\./([^"]+)"', line):
                assert wanted in names, (name, wanted)


def test_every_element_that_a_script_asks_for_is_on_the_page(names):
    ids = set(re.findall(r'\sid="(\w+)"', page.ASSETS[page.PAGE].content.decode()))
    for name in names:
        for wanted in re.findall(r'\$\("(\w+)"\)', page.ASSETS[name].content.decode()):
            assert wanted in ids, (name, wanted)
