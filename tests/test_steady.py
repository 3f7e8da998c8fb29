"""The suite itself: a test draws the same examples whatever else ran before it."""

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers


def drawn():
    seen = []

    @settings(max_examples=300)
    @given(st.integers(), st.floats(allow_nan=False), st.text())
    def look(whole, number, text):
        seen.append((whole, number, text))

    look()
    return seen


def test_examples_are_the_same_after_an_import_of_a_module_with_numbers(tmp_path, monkeypatch):
    before = drawn()
    numbers = ", ".join(f"{77_000_000 + i}, {i}.123, 'text {i}'" for i in range(50))
    (tmp_path / "numbers_and_texts.py").write_text(f"VALUES = [{numbers}]\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("numbers_and_texts")
    assert drawn() == before
    assert len(providers._get_local_constants()) == 0


@pytest.mark.parametrize("run", range(2))
def test_random_numbers_do_not_depend_on_the_tests_before(run):
    drawn = torch.rand(1)
    assert drawn == torch.rand(1, generator=torch.Generator().manual_seed(0))


def test_the_profile_of_the_suite_is_loaded_and_has_no_limit_of_time():
    assert settings.get_current_profile_name() in ("suite", "search")
    assert settings.default.deadline is None
