import hashlib
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, FakeHub
from torch.nn import functional

from sphinx_framework.errors import JobError, WeightsError
from sphinx_framework.protocols import takes_evidence
from sphinx_framework.testing.scenes import room_scene
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_musiq.config import MusiqConfig

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("torchvision_operators")


@pytest.fixture(scope="module")
def pyiqa_arch(torchvision_operators):
    return pytest.importorskip("pyiqa.archs.musiq_arch", reason="pyiqa is not installed")


@pytest.fixture(scope="module")
def estimator(pyiqa_arch):
    from sphinx_framework_musiq.estimator import MusiqQuality

    return MusiqQuality(MusiqConfig(weights="random", batch=2), CPU)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(3, 3, 40, 64, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2


@pytest.fixture(scope="module")
def scores(estimator, images: torch.Tensor) -> torch.Tensor:
    return estimator.score(images.clamp(0, 1))


def network(weights: str, seed: int = 0) -> torch.nn.Module:
    from sphinx_framework_musiq.network import musiq_network

    return musiq_network(MusiqConfig(weights=weights, seed=seed))


def test_every_image_has_one_finite_score(scores: torch.Tensor) -> None:
    assert scores.shape == (3,)
    assert torch.isfinite(scores).all()
    assert len(set(scores.tolist())) == 3


def test_neither_the_batch_nor_opacity_nor_colours_out_of_range_matter(
    estimator, images, scores
) -> None:
    alone = estimator.score(images[2:], opacity=torch.zeros(1, 40, 64))
    assert torch.allclose(alone, scores[2:], atol=1e-4)


def test_images_that_are_no_numbers_are_one_clear_error(estimator) -> None:
    with pytest.raises(JobError, match=r"images \[0\]"):
        estimator.score(torch.full((1, 3, 40, 64), torch.nan))


def test_what_is_no_picture_cannot_score_high_nor_nan(estimator, monkeypatch) -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    images = torch.cat([ramp, torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64)])
    monkeypatch.setattr(
        estimator, "network", lambda x: torch.where(x.amax((1, 2, 3)) > 0, 70.0, torch.nan)
    )
    picture, black, white = estimator.score(images).tolist()
    assert picture == 70
    assert 0 < black < 7
    assert 0 < white < 7


@pytest.fixture(scope="module")
def known():
    """Truths, and what is known of them, as smooth as photographs."""
    scene = room_scene(3, (256, 256))
    photos, truth = (
        functional.avg_pool2d(images, 4) for images in (scene.images, scene.target_images)
    )
    renders = functional.avg_pool2d(truth, 3, 1, 1, count_include_pad=False)
    return truth, ScoreEvidence(inputs=photos, renders=renders)


def test_with_evidence_no_picture_scores_above_a_tenth_of_the_truth(estimator, known) -> None:
    truth, evidence = known
    random = torch.Generator().manual_seed(0)
    cells = torch.rand(len(truth), 3, 8, 8, generator=random)
    top = estimator.score(truth, evidence=evidence)
    for images in (
        torch.zeros_like(truth),
        torch.full_like(truth, 0.4),
        functional.interpolate(cells, truth.shape[-2:]),
        torch.rand(truth.shape, generator=random),
    ):
        assert bool((estimator.score(images, evidence=evidence) < 0.1 * top).all())


def test_evidence_takes_damage_off_the_score_and_nothing_off_a_clean_picture(
    estimator, known
) -> None:
    truth, evidence = known
    assert takes_evidence(estimator)
    grain = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    noisy = (truth + 0.1 * grain).clamp(0, 1)
    assert bool((estimator.score(noisy, evidence=evidence) < 0.9 * estimator.score(noisy)).all())
    for images in (truth, evidence.renders):
        assert torch.equal(estimator.score(images, evidence=evidence), estimator.score(images))


def test_random_weights_are_those_of_the_seed(estimator) -> None:
    before = torch.random.get_rng_state()
    same, other = (network("random", seed).state_dict() for seed in (0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    state = estimator.network.state_dict()
    assert all(torch.equal(state[key], same[key]) for key in state)
    assert not torch.equal(state["embedding.weight"], other["embedding.weight"])


@pytest.mark.parametrize("name", ["musiq.pth", "musiq.safetensors"])
def test_a_checkpoint_file_is_loaded(estimator, tmp_path: Path, name: str) -> None:
    from safetensors.torch import save_file

    state = estimator.network.state_dict()
    if name.endswith(".pth"):
        torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / name)
    else:
        save_file(state, tmp_path / name)
    loaded = network(str(tmp_path / name)).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_a_wrong_checkpoint_lists_its_keys(pyiqa_arch, tmp_path: Path) -> None:
    torch.save({"stem.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"missing \(block1.*unexpected \(stem\.weight\)"):
        network(str(tmp_path / "other.pth"))


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_an_unreadable_checkpoint_is_one_clear_error(
    pyiqa_arch, tmp_path: Path, content: bytes
) -> None:
    for name in ("musiq.pth", "musiq.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
            network(str(tmp_path / name))


def test_missing_weights_are_one_clear_error(pyiqa_arch) -> None:
    with pytest.raises(WeightsError, match="Did you mean 'koniq10k'"):
        network("koniq")


@pytest.fixture
def hub(pyiqa_arch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with FakeHub() as server:
        server.stand_in(monkeypatch, tmp_path / "cache")
        yield server


def test_weights_by_name_come_from_the_pinned_commit_and_are_checked(
    hub: FakeHub, estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pyiqa_arch, capsys
) -> None:
    state = estimator.network.state_dict()
    torch.save(state, tmp_path / "musiq.pth")
    content = (tmp_path / "musiq.pth").read_bytes()
    name = f"musiq_koniq_ckpt-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(pyiqa_arch.default_model_urls, "koniq10k", f"https://anywhere/{name}")
    hub.files[name] = content
    monkeypatch.setattr("sphinx_framework_musiq.network.REVISION", COMMIT)
    loaded = network("koniq10k").state_dict()
    assert f"/chaofengc/IQA-PyTorch-Weights/resolve/{COMMIT}/{name}" in hub.requests[0]
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    assert capsys.readouterr().out == ""


def test_a_file_with_another_checksum_than_its_name_says_is_refused(hub: FakeHub) -> None:
    hub.files["musiq_koniq_ckpt-e95806b9.pth"] = b"something else"
    with pytest.raises(WeightsError, match=r"not the expected file: .*, not e95806b9"):
        network("koniq10k")


def test_a_failed_download_is_one_clear_error(hub: FakeHub) -> None:
    with pytest.raises(WeightsError, match=r"'musiq_koniq_ckpt-.*quality\.weights=PATH"):
        network("koniq10k")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_scores_nearly_the_same(pyiqa_arch, images, scores, dtype) -> None:
    from sphinx_framework_musiq.estimator import MusiqQuality

    half = MusiqQuality(MusiqConfig(weights="random", dtype=dtype), CPU)
    found = half.score(images.clamp(0, 1))
    assert found.dtype == torch.float32
    assert torch.allclose(found, scores, rtol=2e-3 if dtype == "float16" else 2e-2, atol=1e-3)
