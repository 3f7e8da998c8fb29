"""Every Python snippet of the documentation runs, in the order of its page.

A snippet is a fence ```` ```python ````; one that cannot run in a test is preceded by the comment
``<!-- not run -->``. Snippets of a page share their names, in an empty working folder.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])
FENCE = re.compile(
    r"^(?P<skip><!--\s*not run[^>]*-->\s*\n)?[ ]*```python\n(?P<code>.*?)^[ ]*```\s*$",
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


CONSOLE = re.compile(r"^```console\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"\[(\d)\] ")


def sessions_of(text):
    """``(command, exit code, expected output)`` of every command of the console fences."""
    found = []
    for fence in CONSOLE.findall(text):
        for part in re.split(r"^\$ ", fence, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            code = CODE.match(expected)
            found.append((command, int(code[1]) if code else 0, CODE.sub("", expected, count=1)))
    return found


def with_sessions(pages):
    return [page for page in pages if sessions_of(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", with_sessions(PAGES), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_commands_of_a_page_print_what_it_shows(page, tmp_path, monkeypatch, capsys):
    """``...`` stands for any text; ``[2]`` before the output for the exit code."""
    from sphinx_framework.cli.main import main

    monkeypatch.chdir(tmp_path)
    for command, code, expected in sessions_of(page.read_text(encoding="utf-8")):
        ended = main(shlex.split(command)[1:])
        told = capsys.readouterr()
        assert ended == code, f"{command}\n{told.err}"
        pattern = ".*".join(re.escape(part.strip()) for part in expected.split("..."))
        # Progress goes to stderr; a page shows what matters.
        assert re.search(pattern, told.out + told.err, re.DOTALL), f"{command}\n{told}"


def test_the_generated_reference_tells_every_command_and_public_name():
    import sphinx_framework as sf
    from sphinx_framework.cli.main import build_parser

    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs/make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = module.reference()
    for name in build_parser()._subparsers._group_actions[0].choices:
        assert f"### sphinx-nvs {name}\n" in written
    for name in ("Engine", "Scene", "load_scene", "save_result"):
        assert name in sf.__all__
        assert f"### sf.{name}\n" in written
    assert "| `--quality Q` |" in written


def test_every_error_and_every_move_and_every_output_is_on_its_page():
    from sphinx_framework import errors
    from sphinx_framework.output.saving import SAVES
    from sphinx_framework.scenes.presets import PRESETS

    named = {
        "errors.md": [n for n in vars(errors) if n.endswith("Error")],
        "paths.md": list(PRESETS),
        "outputs.md": list(SAVES),
    }
    internal = {"SphinxError", "InputError", "StaleCacheError"}
    for page, names in named.items():
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert [n for n in names if f"`{n}`" not in text and n not in internal] == [], page


def test_every_page_is_in_the_sites_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert [page for page in pages if page not in menu] == []


def test_examples_and_snippets_are_typed_for_hosts_without_our_mypy_settings(tmp_path):
    for example in sorted((ROOT / "examples").glob("*.py")):
        shutil.copy(example, tmp_path)
    for page in PAGES:
        snippets = snippets_of(page.read_text(encoding="utf-8"))
        name = "_".join(page.relative_to(ROOT).with_suffix("").parts).replace("-", "_")
        if snippets:
            code = "".join(code for _, code in snippets)
            (tmp_path / f"snippets_of_{name}.py").write_text(code, encoding="utf-8")
    settings = tmp_path / "hosts.ini"
    settings.write_text("[mypy]\nstrict = true\n")
    cache = os.environ.get("MYPY_CACHE_DIR", str(ROOT / ".mypy_cache" / "hosts"))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(settings)),
            *("--cache-dir", cache, "--no-error-summary"),
            *sorted(path.name for path in tmp_path.glob("*.py")),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr
