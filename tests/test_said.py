"""What other people's exceptions say, in one line, whatever they are."""

import pytest

from sphinx_framework.errors import raised, said


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first\n  second\tthird"), "ValueError: first second third"),
        (UnspeakableError(), "UnspeakableError: (it cannot be said: RuntimeError)"),
        (AssertionError(), "AssertionError: (no text)"),
    ],
)
def test_it_is_one_line(error, text):
    assert raised(error) == text


def test_without_a_text_it_is_the_place():
    def fail():
        raise AssertionError

    with pytest.raises(AssertionError) as caught:
        fail()
    assert said(caught.value).startswith(f"at {__file__}:")
