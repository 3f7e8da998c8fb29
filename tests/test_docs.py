"""Every Python snippet of the documentation runs, in the order of its page.

A snippet is a fence ```` ```python ````; one that cannot run in a test is preceded by the comment
``<!-- not run -->``. Snippets of a page share their names, in an empty working folder.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])
FENCE = re.compile(
    r"^(?P<skip><!--\s*not run\s*-->\s*\n)?[ ]*```python\n(?P<code>.*?)^[ ]*```\s*$",
    re.MULTILINE | re.DOTALL,
)


def snippets_of(text):
    """``(first line, code)`` of the snippets that are to run."""
    return [
        (text.count("\n", 0, match.start("code")) + 1, match["code"])
        for match in FENCE.finditer(text)
        if match["skip"] is None
    ]


def with_snippets(pages):
    return [page for page in pages if snippets_of(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", with_snippets(PAGES), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_snippets_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "snippet"}
    for line, code in snippets_of(page.read_text(encoding="utf-8")):
        padded = "\n" * (line - 1) + code  # so that errors point at the page's own lines
        exec(compile(padded, str(page), "exec"), names)


def test_snippets_are_found_with_their_lines_and_marked_ones_are_left_out():
    text = (
        "# A\n\n```python\na = 1\n```\n\n<!-- not run -->\n```python\nboom()\n```\n```sh\nls\n```\n"
    )
    assert snippets_of(text) == [(4, "a = 1\n")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_place_of_the_glossary_exists():
    rows = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    places = [
        place
        for row in rows
        if row.startswith("|")
        for place in re.findall(r"`((?:sphinx_framework|plugins)/[^`]*)`", row)
    ]
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_paragraph_that_a_contract_names_exists():
    from sphinx_framework.testing.contracts import CONTRACTS
    from sphinx_framework.testing.contracts.base import GUIDE

    headings = re.findall(r"^## (.*)$", (ROOT / GUIDE).read_text(encoding="utf-8"), re.MULTILINE)
    assert {suite.paragraph for suite in CONTRACTS.values()} <= set(headings)
