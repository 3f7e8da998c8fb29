import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.serve.problems import Problem, clean, dump, retry_after
from sphinx_framework.serve.requests import check_scene_name, parse_request


def refused(**fields):
    with pytest.raises(Problem) as error:
        parse_request(json.dumps(fields).encode())
    return error.value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quality", True),
        ("quality", 0),
        ("quality", "0.9"),
        ("seed", 1.5),
        ("seed", 2**32),
        ("mode", "best"),
        ("split", "../2"),
        ("split", "2\n"),
        ("targets", "cameras.json"),
        ("targets", "CAMERAS.JSON"),
        ("targets", "a\x00"),
        ("deadline_ms", 1.5),
        ("degrade", 1),
        ("unknown", 1),
    ],
)
def test_a_wrong_field_is_pointed_at(field, value):
    problem = refused(**{field: value})
    assert problem.name == "request-invalid"
    assert problem.errors[0]["pointer"] == f"/{field}"


def test_targets_and_cameras_exclude_each_other():
    camera = {"pose": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}
    cameras = {"convention": "opencv_c2w", "targets": [camera]}
    assert refused(targets="split", target_cameras=cameras).name == "request-invalid"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"quality": NaN}', b"[" * 100000, b'{"seed": 1' + b"0" * 5000]
)
def test_what_is_no_json_is_malformed(data):
    with pytest.raises(Problem) as error:
        parse_request(data)
    assert error.value.status == 400


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_whatever_comes_is_a_request_or_a_problem_that_can_be_sent(value):
    try:
        parse_request(json.dumps(value).encode())
    except Problem as problem:
        dump(problem.document())


def test_lone_surrogates_are_refused_and_never_repeated():
    problem = refused(mode="\ud800")
    dump(problem.document())


@pytest.mark.parametrize("name", ["procedural:demo", "procedural:report/12", "sha256:" + "0" * 64])
def test_scenes_have_names(name):
    assert check_scene_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["/etc", "..", "procedural:../x", "procedural:", "sha256:ab", "lite", "procedural:demo\n"],
)
def test_a_scene_is_never_a_path(name):
    with pytest.raises(Problem):
        check_scene_name(name)


def test_texts_are_short_and_hold_nothing_invisible():
    shown = clean("a\x00\u202eb\ud800" + "x" * 5000)
    assert len(shown) == 1000
    assert shown.startswith("a\ufffd\ufffdb\ufffd")


@pytest.mark.parametrize(("seconds", "shown"), [(0, "1"), (0.2, "1"), (2.1, "3"), (1e9, "300")])
def test_retry_after_is_whole_seconds_within_bounds(seconds, shown):
    assert retry_after(seconds) == {"Retry-After": shown}
