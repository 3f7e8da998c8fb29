import pytest

from sphinx_framework import errors
from sphinx_framework.errors import InputError, JobError, SphinxError, suggestion

ALL = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, Exception)
]


def test_every_error_is_either_the_users_input_or_the_job():
    for error in ALL:
        if error is not SphinxError:
            assert issubclass(error, (InputError, JobError))
            assert not (issubclass(error, InputError) and issubclass(error, JobError))


@pytest.mark.parametrize("error", ALL)
def test_an_error_carries_what_is_wrong_and_what_to_do(error):
    raised = error("It is broken.", hint="Mend it.")
    assert (raised.message, raised.hint) == ("It is broken.", "Mend it.")
    assert str(raised) == "It is broken. Mend it."
    assert str(error("It is broken.")) == "It is broken."


def test_a_near_miss_gets_a_suggestion():
    assert suggestion("musik", ["musiq", "lite"]) == "Did you mean 'musiq'? "


def test_a_far_miss_gets_none():
    assert suggestion("xyz", ["musiq", "lite"]) == ""
    assert suggestion("anything", []) == ""
