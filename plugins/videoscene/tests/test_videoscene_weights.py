"""Checkpoints: the base model's folder, the released tensors laid over it, the text embedding."""

import json
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, FakeHub
from safetensors.torch import save_file
from torch import Tensor

from sphinx_framework.errors import WeightsError
from sphinx_framework_videoscene.config import VideoSceneConfig, tiny_config
from sphinx_framework_videoscene.weights import INDEX, SINGLE, Networks, built_networks

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def random_networks() -> Networks:
    return built_networks(tiny_config(), CPU)


@pytest.fixture
def base(tmp_path: Path, random_networks: Networks) -> Path:
    """A base model's folder as the hub has it: the transformer in parts, the autoencoder whole."""
    root = tmp_path / "base"
    transformer = random_networks.transformer.network.state_dict()
    names = sorted(transformer)
    halves = {"part-1": names[::2], "part-2": names[1::2]}
    (root / "transformer").mkdir(parents=True)
    for part, keys in halves.items():
        save_file(
            {key: transformer[key].contiguous() for key in keys},
            root / "transformer" / f"{part}.safetensors",
        )
    listed = {key: f"{part}.safetensors" for part, keys in halves.items() for key in keys}
    (root / "transformer" / INDEX).write_text(json.dumps({"weight_map": listed}))
    (root / "vae").mkdir()
    vae = random_networks.autoencoder.network.state_dict()
    save_file({k: v.contiguous() for k, v in vae.items()}, root / "vae" / SINGLE)
    return root


def attention_tensors(networks: Networks, shift: float) -> dict[str, Tensor]:
    """What VideoScene trained: attention layers only."""
    return {
        key: (tensor + shift).contiguous()
        for key, tensor in networks.transformer.network.state_dict().items()
        if ".attn1." in key
    }


def config(base: Path, weights: Path | str, **more: str) -> VideoSceneConfig:
    return tiny_config().model_copy(update={"base": str(base), "weights": str(weights), **more})


def released(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """The authors' two files."""
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    torch.save(torch.ones(1, 5, 12), folder / "prompt_embeds.pt")
    return folder / "model.safetensors"


def test_released_tensors_are_laid_over_the_base_model(
    tmp_path: Path, base: Path, random_networks: Networks
) -> None:
    path = released(tmp_path / "given", attention_tensors(random_networks, 1.0))
    loaded = built_networks(config(base, path), CPU)
    before = random_networks.transformer.network.state_dict()
    for key, tensor in loaded.transformer.network.state_dict().items():
        expected = before[key] + (1.0 if ".attn1." in key else 0.0)
        assert torch.equal(tensor, expected), key
    for key, tensor in loaded.autoencoder.network.state_dict().items():
        assert torch.equal(tensor, random_networks.autoencoder.network.state_dict()[key])
    assert torch.equal(loaded.text, torch.ones(1, 5, 12))


def test_the_base_model_alone_needs_a_text(tmp_path: Path, base: Path) -> None:
    with pytest.raises(WeightsError, match="text embedding"):
        built_networks(config(base, "base"), CPU)
    torch.save(torch.zeros(1, 5, 12), tmp_path / "text.pt")
    given = config(base, "base", prompt_embeds=str(tmp_path / "text.pt"))
    assert torch.equal(built_networks(given, CPU).text, torch.zeros(1, 5, 12))


def test_tensors_of_another_network_are_refused(
    tmp_path: Path, base: Path, random_networks: Networks
) -> None:
    other = released(tmp_path / "other", {"unet.conv.weight": torch.zeros(2, 2)})
    with pytest.raises(WeightsError, match="no key of the transformer"):
        built_networks(config(base, other), CPU)
    cut = {k: v[..., :1].contiguous() for k, v in attention_tensors(random_networks, 0).items()}
    with pytest.raises(WeightsError, match="other shapes"):
        built_networks(config(base, released(tmp_path / "cut", cut)), CPU)


def test_a_base_model_that_misses_keys_is_refused(
    tmp_path: Path, base: Path, random_networks: Networks
) -> None:
    path = released(tmp_path / "given", attention_tensors(random_networks, 1.0))
    whole = random_networks.autoencoder.network.state_dict()
    first = next(iter(whole))
    rest = {key: tensor.contiguous() for key, tensor in whole.items() if key != first}
    save_file(rest, base / "vae" / SINGLE)
    with pytest.raises(WeightsError, match="1 missing") as error:
        built_networks(config(base, path), CPU)
    assert first in str(error.value)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("videoscene", r"model\.safetensors is not in .*nothing_here"),
        ("nowhere.safetensors", "no checkpoint at 'nowhere"),
    ],
)
def test_missing_weights_say_where_they_are(
    tmp_path: Path, base: Path, weights: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOSCENE_WEIGHTS", str(tmp_path / "nothing_here"))
    with pytest.raises(WeightsError, match=told) as error:
        built_networks(config(base, weights), CPU)
    assert "drive folder" in str(error.value.hint)


def test_the_released_files_are_found_in_the_folder_that_is_named(
    tmp_path: Path, base: Path, random_networks: Networks
) -> None:
    released(tmp_path / "given", attention_tensors(random_networks, 1.0))
    named = config(base, "videoscene", weights_folder=str(tmp_path / "given"))
    assert torch.equal(built_networks(named, CPU).text, torch.ones(1, 5, 12))
    other = named.model_copy(update={"prompt_embeds_sha256": "0" * 64})
    with pytest.raises(WeightsError, match="not the expected file"):
        built_networks(other, CPU)


def test_a_damaged_list_of_parts_is_named(
    tmp_path: Path, base: Path, random_networks: Networks
) -> None:
    path = released(tmp_path / "given", attention_tensors(random_networks, 1.0))
    for content in ("{", "[]", '{"weight_map": 3}'):
        (base / "transformer" / INDEX).write_text(content)
        with pytest.raises(WeightsError, match="does not list the parts"):
            built_networks(config(base, path), CPU)


def test_damaged_files_are_named(tmp_path: Path, base: Path, random_networks: Networks) -> None:
    path = released(tmp_path / "given", attention_tensors(random_networks, 1.0))
    path.with_name("prompt_embeds.pt").write_bytes(b"no tensor")
    with pytest.raises(WeightsError, match=r"prompt_embeds\.pt cannot be read"):
        built_networks(config(base, path), CPU)
    torch.save(torch.zeros(1, 4, 12), path.with_name("prompt_embeds.pt"))
    with pytest.raises(WeightsError, match=r"\[1, 4, 12\] instead of \[1, 5, 12\]"):
        built_networks(config(base, path), CPU)
    torch.save(torch.zeros(1, 5, 12), path.with_name("prompt_embeds.pt"))
    path.write_bytes(b"no safetensors")
    with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read"):
        built_networks(config(base, path), CPU)


def test_a_folder_without_networks_is_named(tmp_path: Path, random_networks: Networks) -> None:
    path = released(tmp_path / "given", attention_tensors(random_networks, 1.0))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"empty has no transformer/"):
        built_networks(config(tmp_path / "empty", path), CPU)


def test_the_base_model_comes_from_the_hub_at_a_commit(
    tmp_path: Path, base: Path, random_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = released(tmp_path / "given", attention_tensors(random_networks, 1.0))
    files = {f"{f.parent.name}/{f.name}": f.read_bytes() for f in base.glob("*/*")}
    with FakeHub(files) as hub:
        hub.stand_in(monkeypatch, tmp_path / "cache")
        asked = config(Path("owner/base"), path, base_revision=COMMIT)
        loaded = built_networks(asked, CPU)
    assert torch.equal(loaded.text, torch.ones(1, 5, 12))
    assert any(f"owner/base/resolve/{COMMIT}/vae/{SINGLE}" in name for name in hub.requests)
