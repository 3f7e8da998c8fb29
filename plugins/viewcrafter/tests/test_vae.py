"""diffusers' autoencoder under the checkpoint's names."""

import sys

import pytest
import torch
from torch import Tensor, nn

from sphinx_framework.errors import BrokenPluginError
from sphinx_framework.weights import randomise
from sphinx_framework_viewcrafter.config import AutoencoderConfig
from sphinx_framework_viewcrafter.vae import Autoencoder

# A level more than one, so that the decoder's order of levels shows, with and without a shortcut.
CONFIG = AutoencoderConfig(channels=32, channel_mult=(1, 2, 2), num_res_blocks=1)


@pytest.fixture
def network() -> Autoencoder:
    made = Autoencoder(CONFIG)
    randomise(made, 0, bias=0.1)
    return made


def test_state_and_parameters_are_the_same_memory_under_two_names(network: Autoencoder) -> None:
    state = network.state_dict()
    assert len(state) == len(list(network.parameters()))
    assert {t.data_ptr() for t in state.values()} == {p.data_ptr() for p in network.parameters()}


def test_what_is_saved_loads_into_another_one_bit_by_bit(network: Autoencoder) -> None:
    other = Autoencoder(CONFIG)
    other.load_state_dict(network.state_dict(), strict=True)
    pairs = zip(network.named_parameters(), other.named_parameters(), strict=True)
    assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)


def test_the_names_hold_inside_another_network(network: Autoencoder) -> None:
    outer = nn.ModuleDict({"first_stage_model": network})
    state = outer.state_dict()
    assert state["first_stage_model.decoder.up.0.block.0.conv1.weight"].shape == (32, 64, 3, 3)
    assert state["first_stage_model.encoder.mid.attn_1.q.weight"].shape == (64, 64, 1, 1)
    outer.load_state_dict(state, strict=True)


@pytest.mark.parametrize("change", ["missing", "unexpected", "other_shape"])
def test_a_state_of_another_network_is_refused(network: Autoencoder, change: str) -> None:
    state: dict[str, Tensor] = dict(network.state_dict())
    if change == "missing":
        del state["encoder.mid.attn_1.q.weight"]
    elif change == "unexpected":
        state["encoder.mid.attn_2.q.weight"] = torch.zeros(64, 64, 1, 1)
    else:
        state["quant_conv.bias"] = torch.zeros(3)
    with pytest.raises(RuntimeError, match=r"attn_|quant_conv|to_q"):
        network.load_state_dict(state, strict=True)


def test_without_diffusers_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(BrokenPluginError, match="diffusers") as caught:
        Autoencoder(CONFIG)
    assert "pip install" in caught.value.hint
