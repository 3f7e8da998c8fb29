"""Finding, reading and checking checkpoints."""

from pathlib import Path

import pytest
import torch
from fake_hub import FakeHub
from torch import Tensor

from sphinx_framework.errors import WeightsError
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework_viewcrafter.checkpoint import (
    PREFIXES,
    Networks,
    build_networks,
    expected_shapes,
)
from sphinx_framework_viewcrafter.config import DiffusionConfig, ViewCrafterConfig, tiny_config
from sphinx_framework_viewcrafter.model import ViewCrafter
from sphinx_framework_viewcrafter.training_schedule import TrainingSchedule
from sphinx_framework_viewcrafter.weights import DEEPSPEED_PREFIX, OFFICIAL, source

CPU = torch.device("cpu")


def checkpoint_of(config: ViewCrafterConfig) -> dict[str, Tensor]:
    """What an official file of this size would hold."""
    networks = build_networks(config, CPU)
    shapes = expected_shapes(networks, config)
    state = {key: torch.zeros(shape) for key, shape in shapes.items()}
    for part, prefix in PREFIXES.items():
        values = networks.get_submodule(part).state_dict()
        state |= {prefix + key: value for key, value in values.items()}
    return state | TrainingSchedule.from_config(config.diffusion).buffers()


@pytest.fixture(scope="module")
def config() -> ViewCrafterConfig:
    return tiny_config()


@pytest.fixture(scope="module")
def state(config: ViewCrafterConfig) -> dict[str, Tensor]:
    return checkpoint_of(config)


def loaded(path: Path, **options: object) -> Networks:
    return build_networks(tiny_config(weights=str(path), **options), CPU)


def assert_loads(path: Path, config: ViewCrafterConfig) -> None:
    reference = build_networks(config, CPU).state_dict()
    found = loaded(path).state_dict()
    assert all(torch.equal(found[key], value) for key, value in reference.items())


def test_a_plain_checkpoint_fills_the_networks(
    tmp_path: Path, config: ViewCrafterConfig, state: dict[str, Tensor]
) -> None:
    torch.save({"state_dict": state}, tmp_path / "model.ckpt")
    assert_loads(tmp_path / "model.ckpt", config)


def test_a_deepspeed_checkpoint_with_old_names_fills_the_networks(
    tmp_path: Path, config: ViewCrafterConfig, state: dict[str, Tensor]
) -> None:
    renamed = {
        DEEPSPEED_PREFIX + key.replace("fps_embedding", "framestride_embed"): value
        for key, value in state.items()
    }
    torch.save({"module": renamed}, tmp_path / "model.ckpt")
    assert_loads(tmp_path / "model.ckpt", config)


def test_a_checkpoint_gives_the_model_it_was_saved_from(
    tmp_path: Path, config: ViewCrafterConfig, state: dict[str, Tensor]
) -> None:
    torch.save(state, tmp_path / "model.pt")
    images = fake_scene(size=(32, 32)).images
    model = ViewCrafter(tiny_config(weights=str(tmp_path / "model.pt")), CPU)
    assert torch.equal(model.encode(images), ViewCrafter(config, CPU).encode(images))


def test_keys_that_do_not_fit_are_counted_and_named(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    wrong = dict(state)
    del wrong["model.diffusion_model.out.2.bias"]
    wrong["something.else"] = torch.zeros(1)
    wrong["betas"] = torch.zeros(3)
    torch.save(wrong, tmp_path / "model.ckpt")
    with pytest.raises(WeightsError) as caught:
        loaded(tmp_path / "model.ckpt")
    message = caught.value.message
    for part in ("1 missing", "out.2.bias", "1 unexpected", "something.else", "betas [3] instead"):
        assert part in message


def test_a_checkpoint_of_the_other_family_is_recognised_by_its_rescale(
    tmp_path: Path, state: dict[str, Tensor]
) -> None:
    torch.save(state, tmp_path / "model.ckpt")
    with pytest.raises(WeightsError) as caught:
        loaded(tmp_path / "model.ckpt", diffusion=DiffusionConfig(base_scale=0.7))
    assert "base_scale = 0.3" in caught.value.hint


@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors"])
def test_a_damaged_file_is_an_error_with_advice(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError) as caught:
        loaded(tmp_path / name)
    assert caught.value.hint


def test_a_file_without_tensors_is_an_error(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "model.ckpt")
    with pytest.raises(WeightsError, match="no tensors by name"):
        loaded(tmp_path / "model.ckpt")


def test_an_unknown_source_lists_the_official_checkpoints() -> None:
    with pytest.raises(WeightsError) as caught:
        source(tiny_config(weights="viewcrafter_99")).path()
    assert "ViewCrafter_25_sparse" in caught.value.hint


def test_an_unreachable_hub_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="Drexubery") as caught:
        source(tiny_config(weights="ViewCrafter_25")).path()
    assert "path" in caught.value.hint


@pytest.mark.parametrize("revision", [None, "main"])
@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_an_official_checkpoint_is_asked_for_at_its_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, revision: str | None
) -> None:
    file = OFFICIAL[name]
    with FakeHub({file.file: b"a checkpoint"}) as hub:
        hub.stand_in(monkeypatch, tmp_path)
        wished = source(tiny_config(weights=name, weights_revision=revision))
        assert wished.path().read_bytes() == b"a checkpoint"
    wanted = f"/{file.repo}/resolve/{revision or file.commit}/{file.file}"
    assert hub.requests[0] == wanted
