"""Tables, fronts, rivals and claims from figures that a test knows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.study.evaluate.evaluation import STAGES
from sphinx_framework.study.evaluate.systems import System
from sphinx_framework.study.report.claims import claims, within
from sphinx_framework.study.report.equal_time import rival_table, rivals
from sphinx_framework.study.report.pareto import front_marks, pareto
from sphinx_framework.study.report.summary import COLUMNS, markdown, p95, stage_table, table

POINTS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    max_size=12,
)


def figures(seconds, kept, **more):
    """One scene of one system."""
    stages = {f"seconds_{stage}": 0.0 for stage in STAGES}
    stages["seconds_denoise"] = seconds
    times = {"seconds": seconds, "seconds_least": seconds, "seconds_request": seconds}
    return {"kept": kept, "score": kept, **times, **stages, **more}


def rows(dense=10.0, **systems):
    """Systems as ``name=[(seconds, kept), ...]``; spaces are underscores, points are p."""
    told = {"diffusion": [(dense, 1.0)] * len(next(iter(systems.values()))), **systems}
    result = {}
    for name, scenes in told.items():
        system = name.replace("_", " ").replace("p", ".") if name != "diffusion" else name
        result[system] = [figures(s, k, speedup=dense / s, met=float(k >= 0.95)) for s, k in scenes]
    return result


def systems(told):
    """The systems that the names of the rows stand for, as ``evaluate`` lists them."""
    found = []
    for name in told:
        head, *rest = name.split(", ")
        mode, _, quality = head.partition(" ")
        changes = {"num_steps": rest[0]} if rest and rest[0].endswith(" steps") else {}
        if rest[1:]:
            changes["diffusion.solver"] = rest[1].lower()
        found.append(
            System(
                name=name,
                family=mode,
                mode=mode,
                quality=float(quality or 0.95),
                changes=changes,
                other_noise=rest == ["other noise"],
            )
        )
    return found


def claimed(told):
    return claims(told, systems(told))


def states(checked):
    return {claim.text: claim.state for claim in checked}


def test_what_is_missing_is_not_measured_and_never_zero():
    lines = table({"diffusion": [figures(1.0, 1.0)]})
    cells = dict(zip(lines[0], lines[1], strict=True))
    assert cells["PSNR"] == cells["LPIPS"] == cells["joules"] == "not measured"
    assert cells["seconds"] == "1.00"


def test_every_line_has_a_cell_per_head():
    lines = table(rows(fine_0p95=[(4.0, 0.97)] * 3), {"fine 0.95": "front"})
    assert {len(line) for line in lines} == {len(COLUMNS) + 3}
    assert lines[0][1] == "Pareto front"
    assert markdown(lines).splitlines()[1] == "|---" * len(lines[0]) + "|"


def test_the_tail_is_the_95th_percentile():
    values = [figures(float(s), 1.0) for s in range(101)]
    assert p95({"a": values}) == {"a": 95.0}
    assert stage_table({"a": values}, ("denoise",))[1] == ["a", "50.000 / 95.000"]


@given(points=POINTS)
def test_no_system_beats_one_of_the_front(points):
    front = pareto(points)
    for name in front:
        seconds, quality = points[name]
        for other, (s, q) in points.items():
            beaten = s <= seconds and q >= quality and (s, q) != (seconds, quality)
            assert not beaten, (name, other)


@given(points=POINTS)
def test_every_system_beside_the_front_is_matched_by_one_of_it(points):
    front = pareto(points)
    for name, (seconds, quality) in points.items():
        if name not in front:
            assert any(points[f][0] <= seconds and points[f][1] >= quality for f in front)


def test_the_front_is_marked():
    marks = front_marks(rows(fine_0p95=[(4.0, 0.97)] * 2, coarse_0p95=[(5.0, 0.96)] * 2))
    assert marks == {"fine 0.95": "front", "diffusion": "front"}


def test_a_rival_is_interpolated_in_the_logarithm_of_time():
    told = rows(dense=16.0, few_4=[(4.0, 0.8)], few_1=[(1.0, 0.4)], fine_0p95=[(8.0, 0.97)])
    (found,) = rivals(told, ["fine 0.95"], {"fewer": ["diffusion", "few 4", "few 1"]})
    assert found.figures["kept"] == (0.97, pytest.approx(0.9))
    assert found.within
    assert "psnr" not in found.figures
    assert rival_table([found])[1][3:5] == ["0.970 / 0.900", "not measured"]


def test_beyond_all_competitors_the_nearest_one_stands_in():
    told = rows(dense=16.0, few_4=[(4.0, 0.8)], fine_0p95=[(1.0, 0.9)])
    (found,) = rivals(told, ["fine 0.95"], {"fewer": ["diffusion", "few 4"]})
    assert not found.within
    assert found.figures["kept"][1] == pytest.approx(0.8)


def test_claims_that_hold_are_met():
    good = {
        "coarse_0p95": [(6.0, 0.97)] * 10,
        "fine_0p95": [(4.0, 0.96)] * 10,
        "selective_0p95": [(4.0, 0.96)] * 10,
    }
    checked = states(claimed(rows(**good)))
    predicted = [text for text in checked if text.startswith("predicted")]
    assert {checked.pop(text) for text in predicted} == {"not measured"}
    assert set(checked.values()) == {"met"}


@pytest.mark.parametrize(
    ("fine", "selective", "failed"),
    [
        ([(4.0, 0.94)] * 10, [(4.0, 0.96)] * 10, "fine 0.95: the mean score ratio"),
        ([(4.0, 1.0)] * 8 + [(4.0, 0.94)] * 2, [(4.0, 0.96)] * 10, "fine 0.95: at least 90%"),
        ([(6.0, 0.96)] * 10, [(6.0, 0.96)] * 10, "fine 0.95: the mean end-to-end"),
        ([(4.0, 0.96)] * 10, [(4.2, 0.96)] * 10, "selective is slower than fine by at most 2% in"),
        ([(4.0, 0.96)] * 10, [(3.9, 0.96)] * 9 + [(4.2, 0.96)], "selective is slower than fine"),
        ([(2.0, 0.96)] * 8 + [(9.0, 0.96)] * 2, [(2.0, 0.96)] * 10, "fine 0.95: P95 latency"),
    ],
)
def test_a_claim_that_fails_says_so_with_numbers(fine, selective, failed):
    told = rows(fine_0p95=fine, selective_0p95=selective)
    found = [c for c in claimed(told) if c.text.startswith(failed) and c.state == "not met"]
    assert found
    assert any(character.isdigit() for character in found[0].numbers)


def numbers_of(told, start):
    return next(claim.numbers for claim in claimed(told) if claim.text.startswith(start))


def test_the_worst_scene_of_selective_stands_beside_what_equal_work_differs_by():
    told = rows(fine_0p95=[(4.0, 0.96)] * 3, selective_0p95=[(4.4, 0.96)] * 3)
    worst = "selective is slower than fine by at most 2% on every scene"
    assert "equal work" not in numbers_of(told, worst)
    for name, seconds in (
        ("diffusion, other noise", 10.1),
        ("diffusion, 5 steps", 4.0),
        ("diffusion, 5 steps, Euler", 4.6),
    ):
        told[name] = [figures(seconds, 1.0, met=1.0)] * 3
    near = "equal work ('diffusion, 5 steps, Euler' over 'diffusion, 5 steps'): 1.150"
    assert near in numbers_of(told, worst)


def test_a_claim_finds_its_systems_by_what_they_are_not_by_their_names():
    told = rows(fine_0p95=[(4.0, 0.96)] * 3, selective_0p95=[(4.0, 0.96)] * 3)
    listed = systems(told)
    renamed = {s.name: f"system {number}" for number, s in enumerate(listed)}
    renamed["diffusion"] = "diffusion"  # what shares are relative to
    other = claims(
        {renamed[name]: scenes for name, scenes in told.items()},
        [replace(s, name=renamed[s.name]) for s in listed],
    )
    assert [claim.state for claim in other] == [claim.state for claim in claimed(told)]


def test_the_tail_is_told_as_predicted_too():
    told = rows(fine_0p95=[(4.0, 0.96)] * 3)
    tail = "fine 0.95: P95 latency"
    assert "predicted" not in numbers_of(told, tail)
    for scene in told["diffusion"]:
        scene["predicted_request"] = 9.0
    for scene, seconds in zip(told["fine 0.95"], (2.0, 3.0, 4.0), strict=True):
        scene["predicted_request"] = seconds
    assert numbers_of(told, tail).endswith("as predicted 2.31x and 3.00x")


def test_nothing_is_claimed_of_systems_that_did_not_run():
    assert set(states(claimed(rows(other=[(1.0, 1.0)]))).values()) == {"not measured"}


def test_predictions_within_15_percent_are_counted():
    told = rows(fine_0p95=[(4.0, 0.96)] * 10)
    for index, scene in enumerate(told["fine 0.95"]):
        scene["predicted_denoise"] = 4.0 * (1.14 if index < 9 else 1.2)
        scene["predicted_request"] = 4.0 * (1.14 if index < 8 else 1.2)
    request, denoising = claimed(told)[-2:]
    assert (request.numbers, request.met) == ("80% of 10 requests", False)
    assert (denoising.numbers, denoising.met) == ("90% of 10 requests", True)


@given(took=st.floats(0.01, 100), error=st.floats(-0.5, 0.5))
def test_a_prediction_is_within_its_relative_error(took, error):
    if abs(abs(error) - 0.15) > 1e-6:
        assert within([(took * (1 + error), took)]) == (1.0 if abs(error) < 0.15 else 0.0)


def test_intervals_of_equal_scenes_have_no_width():
    lines = table({"a": [figures(2.0, 0.5)] * 4})
    assert lines[1][1] == "2.00 [2.00, 2.00]"
    assert np.isfinite(float(lines[1][-1]))
