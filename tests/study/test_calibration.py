"""Fitted rules as a file that a step policy loads."""

import tomllib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework.policy.rule_lookup import Lookup, full_ratio_of
from sphinx_framework.policy.rule_table import plan_of
from sphinx_framework.policy.rules import load_rules
from sphinx_framework.study.calibrate.calibration import calibrated, rules_of
from sphinx_framework.study.calibrate.fit import Fit
from sphinx_framework.study.calibrate.samples import SceneSample, TargetSample
from sphinx_framework.testing.pipeline import fake_config

STARTS = (0, 10, 20, 30, 40, 50)
QUALITIES = (0.98, 0.95, 0.90)


def recorded(seed, *, scenes=12, targets=8, kinds=1):
    """Scenes of ``kinds`` well separated kinds, each kind with its own loss."""
    rng = np.random.default_rng(seed)
    samples = []
    for index in range(scenes):
        kind = index % kinds
        direction = np.eye(3)[kind] + 0.02 * rng.standard_normal(3)
        shares = 1 - (0.05 + 0.3 * kind) * (np.array(STARTS) / 50) ** 2
        samples.append(
            SceneSample(
                scene=f"scene-{index:02d}",
                num_steps=50,
                settings={},
                embedding=tuple(direction / np.linalg.norm(direction)),
                targets=tuple(
                    TargetSample(
                        ratio=float(rng.uniform(0.4, 1.1)),
                        reference=1.25,
                        full=1.0,
                        scores={"0x50": 1.0}
                        | dict(zip(map(str, STARTS), shares + 0.01 * rng.random(6), strict=True)),
                    )
                    for _ in range(targets)
                ),
            )
        )
    return samples


FIT = Fit(min_samples=10)


def written(samples, fit=FIT, clusters=1):
    calibration = calibrated(samples, QUALITIES, clusters=clusters, min_scenes=4, fit=fit)
    rules = rules_of(
        fake_config(),
        calibration,
        fit,
        name="mine",
        dataset='a "quoted" set',
        command="sphinx-nvs calibrate --scenes 'a b'",
        notes="back\\slash",
    )
    return calibration, rules.to_toml()


def test_a_pipeline_without_an_embedder_has_rules_of_one_cluster():
    bare = fake_config()
    del bare.pipeline["embedder"]
    calibration = calibrated(recorded(0), QUALITIES, clusters=1, min_scenes=4, fit=FIT)
    rules = rules_of(bare, calibration, FIT, name="mine", dataset="d", command="c", notes="")
    assert rules.clusters.embedder == ""
    assert rules.clusters.centres == ()


@given(seed=st.integers(0, 1000), kinds=st.integers(1, 2), least=st.sampled_from([1, 10, 500]))
@settings(max_examples=8)
def test_the_step_policy_loads_the_file_and_gives_the_fitted_plans(
    tmp_path_factory, seed, kinds, least
):
    calibration, text = written(recorded(seed, kinds=kinds), Fit(min_samples=least), kinds)
    path = tmp_path_factory.mktemp("rules") / "rules.toml"
    path.write_text(text)
    rules = load_rules(str(path)).rules
    for rule in calibration.rules:
        for ratio in np.linspace(0, 1.5, 31):
            found = Lookup().plan(rules, rule.cluster, rule.quality, ratio, 50)
            assert found == plan_of(rule, ratio, 50)
            table = rules.table(rule.quality, rule.cluster)
            inside = [
                full
                for (low, high, _), full in zip(rule.rows, rule.full_ratio, strict=True)
                if low <= ratio < high
            ]
            nearest = rule.full_ratio[0 if ratio < rule.rows[0][0] else -1]
            assert full_ratio_of(table, ratio) == (inside or [nearest])[0]


def test_the_file_says_where_it_comes_from():
    data = tomllib.loads(written(recorded(0))[1])
    assert data["provenance"]["dataset"] == 'a "quoted" set'
    assert data["provenance"]["notes"] == "back\\slash"
    assert data["provenance"]["source"] == "sphinx-nvs calibrate --scenes 'a b'"
    assert data["provenance"]["scorer"] == "fake"
    assert data["provenance"]["confidence"] == 0.9
    assert data["num_steps"] == 50


def test_clusters_are_written_with_unit_centres_and_a_table_each():
    calibration, text = written(recorded(1, kinds=2), clusters=None)
    data = tomllib.loads(text)
    centres = np.array(data["clusters"]["centres"])
    assert centres.shape == (2, 3)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)
    assert len(data["table"]) == len(calibration.rules) == 2 * len(QUALITIES)
    assert data["clusters"]["embedder"] == "fake"


def test_every_table_says_how_many_samples_it_rests_on():
    data = tomllib.loads(written(recorded(2))[1])
    for table in data["table"]:
        assert len(table["rows"]) == len(table["samples"]) == len(table["lower_bound"])
        assert len(table["steps"]) == len(table["rows"])


def test_rows_of_too_few_samples_are_named():
    data = tomllib.loads(written(recorded(2), Fit(min_samples=1000))[1])
    assert "too few samples in rows" in data["table"][0]["notes"]
