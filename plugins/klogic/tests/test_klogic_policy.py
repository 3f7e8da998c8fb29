import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_hub import FakeHub
from torch import Tensor

from sphinx_framework.errors import ConfigError, InputError, WeightsError
from sphinx_framework.plugin import Parts
from sphinx_framework.types import Cameras, QualityReport, Scene, StartSteps
from sphinx_framework_klogic.config import KLogicConfig
from sphinx_framework_klogic.policy import KLogicSteps

CLUSTERED = """
schema = "sphinx-framework/rules/1"
name = "two places"
num_steps = 50

[provenance]
min_samples = 20

[clusters]
names = ["indoor", "outdoor"]
prompts = ["red", "blue"]
{centres}

[[table]]
quality = 0.95
cluster = 0
rows = [[0.5, 0.8, 10], [0.8, 1.0, 20]]
samples = [5, 50]

[[table]]
quality = 0.95
cluster = 1
rows = [[0.5, 0.8, 5], [0.8, 1.0, 30]]
"""
CENTRES = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
FLAT = """
schema = "sphinx-framework/rules/1"
name = "one place"
num_steps = 50
placeholder = true

[[table]]
quality = 0.95
rows = [[0.5, 1.0, 10]]
"""


class MeanColour:
    """Embeds a scene by its mean colour, and the names of two colours as themselves."""

    def embed(self, images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(images.mean(dim=(0, 2, 3)), dim=0)


class NamedColour(MeanColour):
    def embed_text(self, prompts: tuple[str, ...]) -> Tensor:
        colours = {"red": (1.0, 0.0, 0.0), "blue": (0.0, 0.0, 1.0)}
        return torch.tensor([colours[prompt] for prompt in prompts])


def rules_file(folder: Path, text: str) -> str:
    path = folder / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def policy(
    folder: Path, text: str = "", embedder: MeanColour | None = None, **options: object
) -> KLogicSteps:
    rules = rules_file(folder, text or CLUSTERED.format(centres=f"centres = {CENTRES}"))
    config = KLogicConfig.model_validate({"rules": rules, **options})
    return KLogicSteps(config, torch.device("cpu"), Parts(embedder=embedder))


def scene(red: float = 0.9, blue: float = 0.1) -> Scene:
    images = torch.tensor([red, 0.0, blue])[:, None, None].expand(2, 3, 8, 8)
    cameras = Cameras(
        world_from_camera=torch.eye(4).expand(2, 4, 4),
        intrinsics=torch.tensor([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]]).expand(2, 3, 3),
        image_size=(8, 8),
    )
    return Scene(images=images, inputs=cameras, targets=cameras)


def steps(chosen: KLogicSteps, *ratios: float, place: Scene | None = None) -> StartSteps:
    ratio = torch.tensor(ratios)
    report = QualityReport(
        score=ratio, reference=torch.ones_like(ratio), ratio=ratio, input_score=torch.ones(2)
    )
    return chosen.start_steps(report, place or scene(), 0.95, 50)


def test_the_nearest_centre_chooses_the_table_and_its_margin_is_told(tmp_path: Path) -> None:
    chosen = policy(tmp_path, embedder=MeanColour())
    indoor = steps(chosen, 0.6, 0.9, 1.1)
    assert (indoor.cluster, indoor.steps) == (0, (10, 20, 50))
    assert "cluster 0 (indoor)" in indoor.notes[0]
    assert "margin 0.88" in indoor.notes[0]
    outdoor = steps(chosen, 0.6, 0.9, 1.1, place=scene(0.1, 0.9))
    assert (outdoor.cluster, outdoor.steps) == (1, (5, 30, 50))


def test_clusters_of_another_embedder_are_refused(tmp_path: Path) -> None:
    class Named(MeanColour):
        name = "mine"

    centres = f'embedder = "clip"\ncentres = {CENTRES}'
    with pytest.raises(ConfigError, match=r"clusters of embedder 'clip'.*has 'mine'"):
        policy(tmp_path, CLUSTERED.format(centres=centres), embedder=Named())
    own = centres.replace("clip", "mine")
    assert policy(tmp_path, CLUSTERED.format(centres=own), embedder=Named()).rules.num_clusters == 2


def test_a_fixed_cluster_needs_no_embedder(tmp_path: Path) -> None:
    assert steps(policy(tmp_path, cluster=1), 0.6).steps == (5,)


def test_rules_without_clusters_need_no_embedder(tmp_path: Path) -> None:
    chosen = policy(tmp_path, FLAT, embedder=MeanColour())
    found = steps(chosen, 0.4, 0.6)
    assert (found.cluster, found.steps) == (None, (0, 10))


def test_placeholder_rules_say_so(tmp_path: Path) -> None:
    assert any("placeholder" in note for note in steps(policy(tmp_path, FLAT), 0.6).warnings)


def test_clusters_within_the_margin_give_the_dearest_plan(tmp_path: Path) -> None:
    chosen = policy(tmp_path, min_margin=0.2, embedder=MeanColour())
    found = steps(chosen, 0.6, 0.9, place=scene(0.55, 0.45))
    assert (found.cluster, found.steps) == (0, (5, 20))
    assert "dearest plan" in found.notes[1]


def test_without_an_embedder_the_error_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"use = 'clip'.*steps.cluster=0"):
        policy(tmp_path)


def test_an_unmeasured_quality_is_refused(tmp_path: Path) -> None:
    chosen = policy(tmp_path, FLAT)
    report = QualityReport(
        score=torch.ones(1), reference=torch.ones(1), ratio=torch.ones(1), input_score=torch.ones(2)
    )
    with pytest.raises(InputError, match=r"not in \(0, 1\]"):
        chosen.start_steps(report, scene(), 1.5, 50)


def test_a_ratio_that_is_no_number_gets_full_diffusion(tmp_path: Path) -> None:
    found = steps(policy(tmp_path, FLAT), math.nan, 0.6)
    assert found.steps == (0, 10)
    assert any("not a number" in note for note in found.warnings)


def test_frames_on_rows_of_few_samples_are_told(tmp_path: Path) -> None:
    found = steps(policy(tmp_path, cluster=0), 0.6, 0.9, 0.7, 1.2)
    assert any("fewer than 20 samples for frames 0, 2" in note for note in found.warnings)


def test_an_impossible_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clusters 0 to 1"):
        policy(tmp_path, cluster=2)
    with pytest.raises(ConfigError, match="no clusters"):
        policy(tmp_path, FLAT, cluster=0)


def test_prompts_make_centres_zero_shot(tmp_path: Path) -> None:
    chosen = policy(tmp_path, CLUSTERED.format(centres=""), embedder=NamedColour())
    assert steps(chosen, 0.6, place=scene(0.2, 0.8)).cluster == 1
    swapped = policy(tmp_path, prompts=("blue", "red"), embedder=NamedColour())
    assert steps(swapped, 0.6, place=scene(0.2, 0.8)).cluster == 0


def test_an_embedder_without_texts_refuses_prompts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="embedder cannot embed text"):
        policy(tmp_path, centres="prompts", embedder=MeanColour())


def test_centres_come_from_a_file_of_either_format(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    np.save(tmp_path / "c.npy", np.array(CENTRES[::-1], dtype=np.float32))
    save_file({"centers": torch.tensor(CENTRES[::-1])}, tmp_path / "c.safetensors")
    for name in ("c.npy", "c.safetensors"):
        chosen = policy(tmp_path, centres=str(tmp_path / name), embedder=MeanColour())
        assert steps(chosen, 0.6).cluster == 1


def test_centres_beside_the_rule_file_are_found_and_checked(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", np.array(CENTRES, dtype=np.float32))
    digest = hashlib.sha256((tmp_path / "c.npy").read_bytes()).hexdigest()
    entry = f'centres_file = "c.npy"\ncentres_sha256 = "{digest}"'
    chosen = policy(tmp_path, CLUSTERED.format(centres=entry), embedder=MeanColour())
    assert steps(chosen, 0.6).cluster == 0
    other = entry.replace(digest, "0" * 64)
    with pytest.raises(WeightsError, match="not the expected file"):
        policy(tmp_path, CLUSTERED.format(centres=other), embedder=MeanColour())


def test_centres_are_fetched_once_and_only_the_named_bytes_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    np.save(tmp_path / "c.npy", np.array(CENTRES, dtype=np.float32))
    content = (tmp_path / "c.npy").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    with FakeHub({"c.npy": content}) as server:
        url = f"{server.address}/owner/name/resolve/commit/c.npy"
        entry = f'centres_url = "{url}"\ncentres_sha256 = "{digest}"'
        for _ in range(2):
            chosen = policy(tmp_path, CLUSTERED.format(centres=entry), embedder=MeanColour())
            assert steps(chosen, 0.6).cluster == 0
        assert len(server.requests) == 1
        other = entry.replace(digest, "0" * 64).replace("/commit/", "/other/")
        with pytest.raises(WeightsError, match=r"cannot be fetched.*steps\.centres=PATH"):
            policy(tmp_path, CLUSTERED.format(centres=other), embedder=MeanColour())


def test_unreachable_centres_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    entry = f'centres_url = "http://127.0.0.1:9/c.npy"\ncentres_sha256 = "{"0" * 64}"'
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1.*steps\.centres=PATH"):
        policy(tmp_path, CLUSTERED.format(centres=entry), embedder=MeanColour())


def test_a_missing_centres_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.npy.*steps\.centres=prompts"):
        policy(tmp_path, centres="gone.npy", embedder=MeanColour())


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_an_unreadable_centres_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    for name in ("c.npy", "c.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=name):
            policy(tmp_path, centres=str(tmp_path / name), embedder=MeanColour())


def test_centres_of_another_number_or_length_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "three.npy", np.eye(3, dtype=np.float32))
    with pytest.raises(ConfigError, match="3 cluster centres"):
        policy(tmp_path, centres=str(tmp_path / "three.npy"), embedder=MeanColour())
    np.save(tmp_path / "long.npy", np.eye(2, 4, dtype=np.float32))
    chosen = policy(tmp_path, centres=str(tmp_path / "long.npy"), embedder=MeanColour())
    with pytest.raises(ConfigError, match="has 3 values"):
        steps(chosen, 0.6)
