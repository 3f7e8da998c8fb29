"""The mission's words are found at once: in a file's name, or in the first line of a docstring."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
WORDS = {
    "scheduler": "engine/scheduler.py",
    "quality ratio": "policy/quality.py",
    "eq. 2": "policy/quality.py",
    "Algorithm 1": "engine/loop.py",
    "latent cache": "executors/latent_cache.py",
    "block sparse": "executors/block_sparse.py",
    "full pass": "executors/record.py",
    "k-logic": "plugins/klogic",
    "law every backend": "testing/oracle.py",
    "Sphinx-C": "policy/plan.py",
    "k = 40": "policy/plan.py",
    "scene cluster": "policy/rule_lookup.py",
    "k rules": "policy/rules.py",
    "cache period": "policy/plan.py",
    "opacity threshold": "sphinx_framework_masks/config.py",
    "partial denoising": "policy/schedule.py",
}


@cache
def answers() -> list[tuple[str, str]]:
    """(place, what it says of itself) of every module, class, function and described option."""
    files = [
        *(REPOSITORY / "sphinx_framework").rglob("*.py"),
        *(REPOSITORY / "plugins").glob("*/src/*/*.py"),
    ]
    said = []
    for file in files:
        place = file.relative_to(REPOSITORY).as_posix()
        said.append((place, place.replace("_", " ")))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                first = (ast.get_docstring(node) or "").split("\n\n")[0]
                said.append((place, " ".join(first.split())))
            elif isinstance(node, ast.keyword) and node.arg == "description":
                said.append((place, ast.unparse(node.value)))
    return said


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_mission_leads_to_its_file(word):
    pattern = re.compile(re.escape(word).replace(r"\ ", r"[ -]"), re.IGNORECASE)
    found = {place for place, text in answers() if pattern.search(text)}
    assert any(WORDS[word] in place for place in found), sorted(found)[:9]
    assert len(found) < 16, "said of everything, it leads nowhere"
