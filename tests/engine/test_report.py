"""The report tells what was decided and what was done, completely and truthfully."""

import json
from dataclasses import replace

import pytest
import torch
from engines import FixedMask, FixedQuality, FixedSteps, calls_of, engine_with, fixed_engine

from sphinx_framework.energy.meter import Energy
from sphinx_framework.engine.result import Report
from sphinx_framework.policy.schedule import MODES
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine

KEYS = {
    "schema",
    "config",
    "seed",
    "device",
    "versions",
    "licences",
    "mode",
    "quality_target",
    "num_steps",
    "cluster",
    "frames",
    "schedule",
    "counts",
    "seconds",
    "cache_bytes_peak",
    "energy_joules",
    "energy_note",
    "warnings",
}
FRAME_KEYS = {
    "index",
    "score",
    "reference",
    "ratio",
    "start_step",
    "mask_fraction",
    "steps_run",
    "achieved_score",
    "achieved_ratio",
    "served",
    "full_ratio",
    "missed",
    "steps",
    "evidence",
    "lost",
    "reason",
    "psnr",
    "ssim",
    "lpips",
}
COUNT_KEYS = {"full_steps", "partial_steps", "frame_steps", "frame_steps_dense"}
SECOND_KEYS = {
    "load_models",
    "load",
    "regression",
    "quality",
    "plan",
    "encode",
    "denoise",
    "decode",
    "write",
    "total",
}
MASKS = FixedMask((3, 9, 3, 9), (20, 28, 2, 30), (1, 2, 1, 2), (15, 16, 15, 16))


def mixed_engine(**config):
    parts = {"steps": FixedSteps((20, 34, 50, 41)), "mask": MASKS}
    return engine_with(parts=parts, **config)


@pytest.mark.parametrize("mode", MODES)
def test_every_field_of_the_contract_is_there_in_every_mode(mode):
    report = json.loads(mixed_engine().render(fake_scene(), mode=mode).report.to_json())
    assert report["schema"] == "sphinx-framework/report/1"
    assert report.keys() >= KEYS
    assert all(frame.keys() == FRAME_KEYS for frame in report["frames"])
    assert report["counts"].keys() == COUNT_KEYS
    assert report["seconds"].keys() == SECOND_KEYS
    assert [frame["index"] for frame in report["frames"]] == [0, 1, 2, 3]
    assert all(frame["served"] in ("regression", "refined") for frame in report["frames"])
    assert report["energy_joules"] is None
    assert report["energy_note"]
    assert len(report["licences"]) == 6
    assert report["versions"].keys() >= {"sphinx-framework", "torch", "numpy", "python"}


@pytest.mark.parametrize("mode", MODES)
def test_counts_equal_the_calls_that_the_network_saw(mode):
    engine = mixed_engine()
    report = engine.render(fake_scene(), mode=mode).report
    calls = calls_of(engine)
    assert calls == [(entry.step, entry.rows) for entry in report.trace]
    kinds = [entry.kind for entry in report.trace]
    assert report.counts.full_steps == kinds.count("full")
    assert report.counts.partial_steps == len(calls) - kinds.count("full")
    assert report.counts.frame_steps_dense == 50 * 6
    whole = [
        (entry.rows, entry.frames) for entry in report.trace if entry.kind in ("full", "frames")
    ]
    assert all(rows == frames for rows, frames in whole)
    assert report.counts.frame_steps == sum(entry.frames for entry in report.trace)


def test_steps_run_count_the_moves_of_each_target():
    report = mixed_engine().render(fake_scene(), mode="fine").report
    assert [frame.steps_run for frame in report.frames] == [30, 16, 0, 9]
    assert [frame.start_step for frame in report.frames] == [20, 34, 50, 41]


def test_moves_of_the_inputs_are_nobodys_steps():
    parts = {"steps": FixedSteps((20, 34, 50, 41))}
    engine = engine_with(parts=parts, plan={"input_start": 40, "full_tail": 10})
    report = engine.render(fake_scene(), mode="fine").report
    assert [frame.steps_run for frame in report.frames] == [30, 16, 0, 9]


def test_the_schedule_text_names_every_executed_step():
    report = mixed_engine().render(fake_scene(), mode="fine").report
    assert [word.strip("FPDS").split("[")[0] for word in report.schedule.split()] == [
        str(entry.step) for entry in report.trace
    ]


def test_the_cluster_and_the_notes_of_the_step_policy_are_kept():
    report = fixed_engine((10,) * 4).render(fake_scene(), mode="fine").report
    assert report.cluster == 1
    assert "decided by the test" in report.notes


def test_ratios_are_scores_over_references():
    report = fake_engine().render(fake_scene()).report
    for frame in report.frames:
        assert frame.ratio == pytest.approx(frame.score / frame.reference)
        assert frame.achieved_ratio == pytest.approx(frame.achieved_score / frame.reference)
        assert frame.missed == (frame.achieved_ratio < report.quality_target)


def test_the_achieved_score_is_that_of_the_finished_image():
    engine = fake_engine()
    result = engine.render(fake_scene(), mode="fine")
    scores = engine.components.quality.score(result.images)
    assert [frame.achieved_score for frame in result.report.frames] == pytest.approx(
        scores.tolist()
    )


def test_mask_fractions_are_those_of_the_mask_policy():
    report = mixed_engine().render(fake_scene(), mode="fine").report
    areas = [36, 8 * 28, 1, 1]
    assert [frame.mask_fraction for frame in report.frames] == pytest.approx(
        [area / 32**2 for area in areas]
    )


def test_a_target_below_the_quality_is_reported_as_missed():
    class Fading:
        def score(self, images, opacity=None):
            return torch.linspace(1.0, 0.5, len(images))

    parts = {"quality": Fading(), "steps": FixedSteps((10,) * 4)}
    report = engine_with(parts=parts).render(fake_scene(), mode="fine", quality=0.95).report
    assert [frame.missed for frame in report.frames] == [
        frame.achieved_ratio < 0.95 for frame in report.frames
    ]
    assert report.frames[3].missed


def test_a_target_exactly_at_the_quality_is_not_missed():
    parts = {"quality": FixedQuality(1.0, 1.0), "steps": FixedSteps((10,) * 4)}
    report = engine_with(parts=parts).render(fake_scene(), mode="fine", quality=1.0).report
    assert not any(frame.missed for frame in report.frames)


def test_stages_take_time_and_the_total_covers_them():
    seconds = mixed_engine().render(fake_scene(), mode="fine").report.seconds
    stages = [seconds.regression, seconds.quality, seconds.plan, seconds.encode]
    stages += [seconds.denoise, seconds.decode]
    assert all(value > 0 for value in stages)
    assert sum(stages) <= seconds.total + 1e-6
    assert seconds.load_models > 0


def test_a_cache_was_held_exactly_when_partial_steps_ran():
    assert mixed_engine().render(fake_scene(), mode="fine").report.cache_bytes_peak > 0
    assert mixed_engine().render(fake_scene(), mode="diffusion").report.cache_bytes_peak == 0


def test_the_prediction_appears_once_costs_are_measured():
    assert fake_engine().render(fake_scene()).report.predicted_denoise_seconds is None
    cost = {"full": 0.5, "measured": "this test", "num_frames": 6}
    report = fixed_engine((40,) * 4, cost=cost).render(fake_scene(), mode="coarse").report
    assert report.predicted_denoise_seconds == pytest.approx(10 * 0.5)
    assert report.cost_model == "this test"


def test_warnings_of_the_scene_reach_the_report():
    scene = replace(fake_scene(), warnings=("a warning of the reader",))
    assert fake_engine().render(scene).report.warnings == ["a warning of the reader"]


def test_the_report_reads_back_as_it_was_written():
    report = mixed_engine().render(fake_scene(), mode="selective").report
    assert Report.model_validate_json(report.to_json()) == report


def test_the_seed_and_config_of_the_request_are_kept():
    report = fake_engine(gamma=0.7).render(fake_scene(), seed=12).report
    assert report.seed == 12
    assert report.config["gamma"] == 0.7
    assert report.config["pipeline"]["diffusion"] == {"use": "fake"}


def test_a_frame_is_missed_by_what_full_diffusion_would_reach():
    parts = {
        "steps": FixedSteps((20, 20, 20, 20), full_ratio=(1.0, 0.6, 0.5, 0.4)),
        "quality": HalfOfThePhotos(),
    }
    engine = engine_with(parts=parts)
    frames = engine.render(fake_scene(), mode="fine", quality=0.9).report.frames
    assert [frame.achieved_ratio for frame in frames] == pytest.approx([0.5] * 4)
    assert [frame.full_ratio for frame in frames] == [1.0, 0.6, 0.5, 0.4]
    assert [frame.missed for frame in frames] == [True, True, False, False]


class HalfOfThePhotos:
    """The two photos score 1, the four targets 0.5."""

    def score(self, images, opacity=None):
        return torch.full((len(images),), 1.0 if len(images) == 2 else 0.5)


class Counter:
    """A meter that counts 12 joules."""

    def start(self):
        pass

    def stop(self):
        return Energy(joules=12.0, note="a counter")


def test_the_energy_is_the_meters(monkeypatch):
    asked = []

    def choose(name, device):
        asked.append(name)
        return Counter()

    monkeypatch.setattr("sphinx_framework.engine.whole_request.choose_meter", choose)
    report = mixed_engine(engine={"energy": "rapl"}).render(fake_scene()).report
    assert (report.energy_joules, report.energy_note) == (12.0, "a counter")
    assert asked == ["rapl"]


def test_unmeasured_energy_is_null_and_says_why():
    report = mixed_engine(engine={"energy": "none"}).render(fake_scene()).report
    assert report.energy_joules is None
    assert report.energy_note == "not measured: no energy meter was asked for"


def test_the_whole_request_is_predicted_where_every_stage_was_measured():
    stages = {"regression_seconds": 1.0, "quality_seconds": 0.5, "plan_seconds": 0.25}
    stages |= {"encode_per_frame": 0.1, "decode_per_frame": 0.01}
    measured = {"full": 0.5, "measured": "a bench", "num_frames": 6}
    part = fake_engine(cost=measured).render(fake_scene(), mode="diffusion").report
    whole = fake_engine(cost=measured | stages).render(fake_scene(), mode="diffusion").report
    assert part.predicted_seconds is None
    expected = whole.predicted_denoise_seconds + 1.75 + 6 * 0.1 + 4 * 0.01
    assert whole.predicted_seconds == pytest.approx(expected)


def test_the_perceptual_distance_is_told_where_it_can_be_measured(monkeypatch):
    def halved(images, truth):
        return (images - truth).abs().mean((1, 2, 3)) / 2

    scene = fake_scene(targets=2)
    seen = replace(scene, target_images=torch.rand(2, 3, 32, 32))
    monkeypatch.setattr("sphinx_framework.engine.report.report_lpips", lambda: halved)
    result = fake_engine().render(seen)
    expected = halved(result.images, seen.target_images)
    assert [frame.lpips for frame in result.report.frames] == pytest.approx(expected.tolist())
    assert [frame.lpips for frame in fake_engine().render(scene).report.frames] == [None, None]


def test_names_that_no_encoding_holds_are_told_escaped():
    scene = replace(fake_scene(), name="caf\udce9", warnings=("caf\udce9.png: is odd",))
    report = fake_engine().render(scene, mode="regression").report
    told = json.loads(report.to_json())
    assert (told["scene"], told["warnings"][0]) == ("caf\\udce9", "caf\\udce9.png: is odd")
