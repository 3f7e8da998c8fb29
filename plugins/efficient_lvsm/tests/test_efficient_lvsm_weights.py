"""Checkpoints: strict, harmless, with one clear error where there is none."""

import hashlib

import pytest
import torch
from goldens import golden
from safetensors.torch import save_file

from sphinx_framework.errors import WeightsError
from sphinx_framework_efficient_lvsm.config import EfficientLVSMConfig
from sphinx_framework_efficient_lvsm.network import EfficientLVSMNetwork
from sphinx_framework_efficient_lvsm.weights import DROPPED, STRIPPED, loaded_network


@pytest.fixture
def state(tiny_config):
    return loaded_network(tiny_config).state_dict()


@pytest.fixture
def released(state, tmp_path):
    """A checkpoint as training leaves it: compiled, parallel, with losses and an optimizer."""
    entries = {f"module._orig_mod.{key}": value for key, value in state.items()}
    entries |= {f"module._orig_mod.{prefix}0.weight": torch.ones(2) for prefix in DROPPED}
    path = tmp_path / "efficient_lvsm_res256.pt"
    torch.save({"model": entries, "optimizer": {"lr": 1.0}, "step": 3}, path)
    return path


def read(config, path, **changes):
    return loaded_network(config.model_copy(update={"weights": str(path), **changes}))


def assert_same(network, state):
    found = network.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_a_training_checkpoint_loads_and_what_rendering_does_not_use_is_left_out(
    released, state, tiny_config
) -> None:
    assert_same(read(tiny_config, released), state)


def test_what_the_manifest_says_of_prefixes_is_done() -> None:
    info = golden("efficient_lvsm_full_manifest").info
    assert set(info["ignore_prefixes_in_released_checkpoint"]) <= set(DROPPED)
    assert set(info["strip_prefixes"]) == set(STRIPPED)


def test_a_safetensors_file_loads(state, tiny_config, tmp_path) -> None:
    save_file(state, tmp_path / "a.safetensors")
    assert_same(read(tiny_config, tmp_path / "a.safetensors"), state)


@pytest.mark.parametrize("side", [2, 4, 16])
def test_the_patch_size_is_the_file_s(tiny_config, tmp_path, side) -> None:
    sizes = tiny_config.network.model_copy(update={"patch_size": side})
    network = EfficientLVSMNetwork(sizes)
    torch.save({"model": network.state_dict()}, tmp_path / "a.pt")
    assert read(tiny_config, tmp_path / "a.pt").side == side


def test_half_precision_weights_are_widened(state, tiny_config, tmp_path) -> None:
    torch.save({key: value.half() for key, value in state.items()}, tmp_path / "a.pt")
    network = read(tiny_config, tmp_path / "a.pt")
    assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("damage", ["missing", "unexpected", "mis-shaped"])
def test_any_tensor_that_does_not_fit_is_refused(state, tiny_config, tmp_path, damage) -> None:
    key = "input_self_attn_blocks.1.attn.fc.weight"
    if damage == "missing":
        del state[key]
    elif damage == "unexpected":
        state["input_self_attn_blocks.1.attn.fc.bias"] = torch.ones(2)
    else:
        state[key] = torch.ones(3, 3)
    torch.save({"model": state}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=rf"1 {damage} \(input_self_attn_blocks.1.attn.fc"):
        read(tiny_config, tmp_path / "a.pt")


def test_without_weights_one_error_says_that_none_were_released_and_what_to_do() -> None:
    with pytest.raises(WeightsError, match="no released checkpoint") as caught:
        loaded_network(EfficientLVSMConfig())
    assert "path" in caught.value.hint
    assert "weights_repo" in caught.value.hint


def test_a_misspelt_name_is_suggested(tiny_config) -> None:
    with pytest.raises(WeightsError, match="no checkpoint at 'res265'") as caught:
        read(tiny_config, "res265")
    assert "Did you mean 'res256'?" in caught.value.hint


def test_a_repository_of_ones_own_is_asked(tmp_path, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    config = EfficientLVSMConfig(weights_repo="someone/lvsm", weights_revision="0" * 40)
    with pytest.raises(WeightsError, match=r"'efficient_lvsm_res256\.pt' of .* 'someone/lvsm'"):
        loaded_network(config)


def test_a_file_with_another_checksum_is_refused(released, state, tiny_config) -> None:
    checksum = hashlib.sha256(released.read_bytes()).hexdigest()
    assert_same(read(tiny_config, released, weights_sha256=checksum), state)
    with pytest.raises(WeightsError, match="is not the expected file"):
        read(tiny_config, released, weights_sha256="0" * 64)


def test_a_damaged_file_is_refused(tiny_config, tmp_path) -> None:
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        read(tiny_config, tmp_path / "a.pt")


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_in_a_checkpoint_is_executed(state, tiny_config, tmp_path) -> None:
    marker = tmp_path / "ran"
    torch.save({"model": state, "callback": Malicious(str(marker))}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        read(tiny_config, tmp_path / "a.pt")
    assert not marker.exists()


def test_random_weights_depend_on_the_seed_only(state, tiny_config) -> None:
    torch.rand(3)
    before = torch.get_rng_state()
    assert_same(loaded_network(tiny_config), state)
    assert torch.equal(torch.get_rng_state(), before)
    other = loaded_network(tiny_config.model_copy(update={"seed": 1})).state_dict()
    assert not torch.equal(other["rgbp_tokenizer.1.weight"], state["rgbp_tokenizer.1.weight"])
