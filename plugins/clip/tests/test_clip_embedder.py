import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_hub import COMMIT, FakeHub

from sphinx_framework.errors import ConfigError, WeightsError
from sphinx_framework_clip.config import ClipConfig
from sphinx_framework_clip.embedder import ClipEmbedder

pytestmark = pytest.mark.usefixtures("torchvision_operators")

TINY = "sphinx-tests-tiny-clip"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny(torchvision_operators, tmp_path_factory) -> str:
    open_clip = pytest.importorskip("open_clip", reason="the extra 'clip' is not installed")
    folder = tmp_path_factory.mktemp("models")
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 64,
            "heads": 1,
            "layers": 1,
        },
    }
    (folder / f"{TINY}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return TINY


@pytest.fixture(scope="module")
def clip(tiny: str) -> ClipEmbedder:
    return ClipEmbedder(ClipConfig(model=tiny, weights="random"), CPU)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 40, 60, generator=torch.Generator().manual_seed(0))


def test_an_embedding_has_length_one(clip: ClipEmbedder, images: torch.Tensor) -> None:
    embedding = clip.embed(images)
    assert embedding.shape == (16,)
    assert float(embedding.norm()) == pytest.approx(1, abs=1e-5)


def test_all_inputs_count_in_any_order(clip: ClipEmbedder, images: torch.Tensor) -> None:
    embedding = clip.embed(images)
    assert torch.allclose(embedding, clip.embed(images.flip(0)), atol=1e-5)
    assert not torch.allclose(embedding, clip.embed(images[:1]), atol=1e-4)


def test_many_inputs_are_embedded_in_chunks(clip: ClipEmbedder, images: torch.Tensor) -> None:
    assert torch.allclose(clip.embed(images.repeat(7, 1, 1, 1)), clip.embed(images), atol=1e-5)


def test_random_weights_are_those_of_the_seed(tiny: str, images: torch.Tensor) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (
        ClipEmbedder(ClipConfig(model=tiny, weights="random", seed=seed), CPU).embed(images)
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_building_neither_warns_of_missing_weights_nor_sets_up_logging(
    tiny: str, caplog: pytest.LogCaptureFixture
) -> None:
    import logging

    handlers = list(logging.getLogger().handlers)
    ClipEmbedder(ClipConfig(model=tiny, weights="random"), CPU)
    assert not [record for record in caplog.records if record.name == "root"]
    assert logging.getLogger().handlers == handlers


def test_preprocessing_follows_open_clip(clip: ClipEmbedder) -> None:
    from open_clip import image_transform
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (48, 70, 3), dtype=np.uint8)
    smooth = Image.fromarray(pixels).resize((140, 96), Image.Resampling.BICUBIC)
    visual = clip.model.visual
    expected = image_transform(
        visual.image_size, is_train=False, mean=visual.image_mean, std=visual.image_std
    )(smooth)
    ours = torch.from_numpy(np.array(smooth)).permute(2, 0, 1)[None] / 255
    # PIL rounds to uint8 after each axis: a level is 0.015 after normalisation.
    assert (clip._prepared(ours)[0] - expected).abs().max() < 0.04


def test_texts_share_the_space_of_the_images(clip: ClipEmbedder) -> None:
    embeddings = clip.embed_text(["indoor room", "distant landscape"])
    assert embeddings.shape == (2, 16)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_checkpoint_file_gives_its_embeddings(
    tiny: str, clip: ClipEmbedder, images: torch.Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "clip.pt"
    torch.save(clip.model.state_dict(), path)
    loaded = ClipEmbedder(ClipConfig(model=tiny, weights=str(path)), CPU)
    assert torch.equal(loaded.embed(images), clip.embed(images))


def test_a_wrong_checkpoint_lists_its_keys(tiny: str, clip: ClipEmbedder, tmp_path: Path) -> None:
    state = dict(clip.model.state_dict())
    del state["text_projection"]
    torch.save({"state_dict": {"other": torch.zeros(2), **state}}, tmp_path / "other.pt")
    with pytest.raises(WeightsError) as caught:
        ClipEmbedder(ClipConfig(model=tiny, weights=str(tmp_path / "other.pt")), CPU)
    assert "1 missing (text_projection); 1 unexpected (other)" in caught.value.message


@pytest.mark.parametrize("name", ["broken.pt", "broken.safetensors"])
def test_an_unreadable_checkpoint_is_one_clear_error(tiny: str, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match=rf"{name} cannot be read") as caught:
        ClipEmbedder(ClipConfig(model=tiny, weights=str(tmp_path / name)), CPU)
    assert "steps.cluster=0" in caught.value.hint


def test_missing_weights_and_models_are_one_clear_error(tiny: str) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pt"):
        ClipEmbedder(ClipConfig(model=tiny, weights="gone.pt"), CPU)
    with pytest.raises(WeightsError, match="Did you mean 'laion2b_s34b_b79k'"):
        ClipEmbedder(ClipConfig(weights="laion2b_s34b"), CPU)
    with pytest.raises(ConfigError, match="Did you mean 'ViT-B-32'"):
        ClipEmbedder(ClipConfig(model="ViT-B32"), CPU)


@pytest.fixture
def hub(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with FakeHub() as server:
        server.stand_in(monkeypatch, tmp_path / "cache")
        yield server


def test_the_default_weights_come_from_a_pinned_commit(
    hub: FakeHub, tiny: str, clip: ClipEmbedder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    from sphinx_framework_clip.embedder import PINNED

    pin = PINNED["ViT-B-32", "laion2b_s34b_b79k"]
    filename = pin.file
    with pytest.raises(WeightsError, match="does not exist there") as caught:
        ClipEmbedder(ClipConfig(), CPU)
    assert f"/{pin.repo}/resolve/{pin.commit}/{filename}" in hub.requests[0]
    assert "embedder.weights=PATH" in caught.value.hint
    save_file(clip.model.state_dict(), tmp_path / filename)
    hub.files[filename] = (tmp_path / filename).read_bytes()
    monkeypatch.setitem(PINNED, (tiny, "tag"), replace(pin, commit=COMMIT))
    loaded = ClipEmbedder(ClipConfig(model=tiny, weights="tag"), CPU).model.state_dict()
    assert all(torch.equal(loaded[key], v) for key, v in clip.model.state_dict().items())


def test_other_tags_that_cannot_be_fetched_are_one_clear_error(
    tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(open_clip, "create_model", unreachable)
    with pytest.raises(WeightsError, match=r"OSError: no network.*embedder\.weights=PATH"):
        ClipEmbedder(ClipConfig(weights="laion2b_e16"), CPU)


def test_the_authors_rules_choose_a_cluster_from_a_file_and_from_prompts(
    clip: ClipEmbedder, images: torch.Tensor, tmp_path: Path
) -> None:
    from sphinx_framework.plugin import Parts
    from sphinx_framework.types import Cameras, QualityReport, Scene
    from sphinx_framework_klogic.config import KLogicConfig
    from sphinx_framework_klogic.policy import KLogicSteps

    cameras = Cameras(
        world_from_camera=torch.eye(4).expand(3, 4, 4),
        intrinsics=torch.eye(3).expand(3, 3, 3),
        image_size=(40, 60),
    )
    scene = Scene(images=images, inputs=cameras, targets=cameras)
    ratio = torch.tensor([0.6, 0.97, 1.0])
    report = QualityReport(
        score=ratio, reference=torch.ones(3), ratio=ratio, input_score=torch.ones(3)
    )
    own = clip.embed(images)
    np.save(tmp_path / "centres.npy", torch.stack([-own, own.roll(1), own]).numpy())
    for centres, wanted in ((str(tmp_path / "centres.npy"), {2}), ("prompts", {0, 1, 2})):
        policy = KLogicSteps(KLogicConfig(centres=centres), CPU, Parts(embedder=clip))
        chosen = policy.start_steps(report, scene, 0.95, 50)
        assert chosen.cluster in wanted
        assert chosen.steps[2] == 50
        assert "margin" in chosen.notes[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_embeds_nearly_the_same(
    clip: ClipEmbedder, tiny: str, images, dtype
) -> None:
    half = ClipEmbedder(ClipConfig(model=tiny, weights="random", dtype=dtype), CPU).embed(images)  # type: ignore[arg-type]
    assert half.dtype == torch.float32
    assert float(half @ clip.embed(images)) > 0.9995
