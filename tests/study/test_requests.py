"""What a study is asked is one value, checked once, in the words of the command line."""

import pytest

from sphinx_framework.errors import ConfigError
from sphinx_framework.study.requests import CalibrateRequest, StudyRequest


def test_texts_and_lists_ask_the_same():
    texts = {"qualities": "0.95,0.98,0.95", "few_steps": "5,20", "modes": "fine,diffusion,coarse"}
    lists = {"qualities": [0.98, 0.95], "few_steps": (20, 5), "modes": ["fine", "coarse"]}
    made = StudyRequest.asked(texts)
    assert made == StudyRequest.asked(lists)
    assert (made.qualities, made.few_steps, made.modes) == (
        (0.98, 0.95), (20, 5), ("fine", "coarse"),
    )  # fmt: skip


def test_starts_and_steps_are_those_of_the_pipelines_grid():
    asked = {"qualities": "1", "starts": "20,0,20", "steps": "2,every", "few_steps": "5,25"}
    made = CalibrateRequest.asked(asked, 50)
    assert (made.starts, made.steps, made.few_steps) == ((0, 20), (2, None), (25, 5))
    assert CalibrateRequest.asked({"qualities": "1", "few_steps": None}, 50).few_steps == ()


@pytest.mark.parametrize(
    ("kind", "wish", "told"),
    [
        (StudyRequest, {"qualities": "2"}, r"--qualities 2: 2 is not in \(0, 1\]"),
        (StudyRequest, {"qualities": "x"}, "--qualities x: expected numbers"),
        (StudyRequest, {"few_steps": "2.5"}, "--few-steps 2.5: expected whole"),
        (StudyRequest, {"modes": "best"}, "--modes best: 'best' is unknown"),
        (StudyRequest, {"repeats": 0}, "--repeats 0: must be at least 1"),
        (StudyRequest, {"seed": -1}, "the seed must lie in"),
        (CalibrateRequest, {"mode": "regression"}, "--mode regression: unknown"),
        (CalibrateRequest, {"spacing": 51}, r"--spacing 51: must lie in 1\.\.50"),
        (CalibrateRequest, {"starts": "50"}, r"--starts 50: expected steps in 0\.\.49"),
        (CalibrateRequest, {"few_steps": "0"}, r"--few-steps 0: 0 is not in \[1, 1000\]"),
        (CalibrateRequest, {"steps": "0"}, "--steps 0: expected numbers of steps"),
        (CalibrateRequest, {"min_samples": 0}, "--min-samples 0: must be at least 1"),
        (CalibrateRequest, {"confidence": 0.2}, r"--confidence 0\.2: must lie in \[0\.5, 1\)"),
        (CalibrateRequest, {"scenes_met": 2.0}, r"--scenes-met 2: must lie in \[0, 1\]"),
        (CalibrateRequest, {"objective": "truth", "policy": "ddp"}, "is trained on scores"),
    ],
)
def test_what_cannot_be_granted_is_named_as_an_option(kind, wish, told):
    with pytest.raises(ConfigError, match=told):
        kind.asked({"qualities": "0.9"} | wish, 50)
