import pytest
import torch
from goldens import golden

from sphinx_framework.policy.rule_lookup import Lookup, nearest_centre
from sphinx_framework.policy.rules import SCHEMA, RuleFile, Rules
from sphinx_framework_klogic.centres import cluster_centres
from sphinx_framework_klogic.config import KLogicConfig

# The authors' grid and the step where they stop instead of serving the regression frame.
NUM_STEPS, LATEST = 50, 40


class FixedEmbedder:
    def embed(self, images):
        return images


def rules_of(tables: dict[str, list[list[list[float]]]]) -> Rules:
    return Rules.model_validate(
        {
            "schema": SCHEMA,
            "name": "golden",
            "num_steps": NUM_STEPS,
            "table": [
                {"quality": int(percent) / 100, "cluster": cluster, "rows": rows}
                for percent, clusters in tables.items()
                for cluster, rows in enumerate(clusters)
            ],
        }
    )


def test_start_steps_equal_the_authors_on_the_grid_of_ratios() -> None:
    fixture = golden("sphinx_masks")
    tables = fixture.info["decision_tables"]
    lookup = Lookup(max_start=LATEST)
    for percent, clusters in tables.items():
        rules = rules_of({percent: clusters})
        for cluster in range(len(clusters)):
            expected = fixture.tensors[f"out/k_{percent}_cluster{cluster}"].tolist()
            found = [
                lookup.start_step(rules, cluster, int(percent) / 100, ratio, NUM_STEPS)
                for ratio in fixture.tensors["in/ratio"].tolist()
            ]
            assert found == expected


def test_a_scene_at_a_golden_centre_belongs_to_it(tmp_path) -> None:
    fixture = golden("sphinx_cluster_centers")
    centres = fixture.tensors["centers"]
    path = tmp_path / "centres.npy"
    path.write_bytes(npy(centres))
    rules = rules_of({"95": [[[0.5, 1.0, 10]]] * len(centres)})
    source = RuleFile(rules=rules, folder=tmp_path, where="golden")
    loaded = cluster_centres(KLogicConfig(centres=str(path)), source, FixedEmbedder())
    assert torch.allclose(loaded, centres, **fixture.info["tolerance"])
    for cluster, centre in enumerate(centres):
        others = [float(centre @ c) for i, c in enumerate(centres) if i != cluster]
        choice = nearest_centre(centre.numpy(), loaded.numpy())
        assert choice.cluster == cluster
        margin = 1 - max(others)
        assert choice.margin == pytest.approx(margin, abs=fixture.info["tolerance"]["atol"])


def npy(array: torch.Tensor) -> bytes:
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array.numpy())
    return buffer.getvalue()
