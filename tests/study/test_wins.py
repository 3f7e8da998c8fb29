"""Scenes on which one system is nearer to the truth than another."""

import pytest

from sphinx_framework.study.report.summary import NOT_MEASURED
from sphinx_framework.study.report.wins import win_table


def scene(psnr, ssim, gms=0.5, **more):
    return {"psnr": psnr, "ssim": ssim, "gms": gms, **more}


def test_scenes_are_counted_by_measure_and_smaller_distances_are_better():
    rows = {
        "render": [scene(20, 0.5, features=0.3), scene(30, 0.9, features=0.2)],
        "fine": [scene(21, 0.5, features=0.2), scene(29.5, 0.95, features=0.1)],
    }
    head, line = win_table(rows, "render")
    told = dict(zip(head, line, strict=True))
    assert told == {
        "system": "fine",
        "PSNR": "1 of 2",
        "SSIM": "1 of 2",
        "GMS": "0 of 2",
        "feature distance": "2 of 2",
        "worst scene, dB": "-0.50",
        "best scene, dB": "+1.00",
    }


def test_what_was_not_measured_is_called_so():
    rows = {"render": [{}], "fine": [{}]}
    _, line = win_table(rows, "render")
    assert line == ["fine", *[NOT_MEASURED] * 6]


@pytest.mark.parametrize("of", ["a", "b"])
def test_a_system_is_not_compared_with_itself(of):
    rows = {"a": [scene(1, 1)], "b": [scene(2, 2)], "c": [scene(3, 3)]}
    assert [line[0] for line in win_table(rows, of)[1:]] == [n for n in rows if n != of]
