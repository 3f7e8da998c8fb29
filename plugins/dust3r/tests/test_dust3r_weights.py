import argparse
from pathlib import Path

import pytest
import torch
from fake_hub import FakeHub
from safetensors.torch import save_file
from torch import Tensor

from sphinx_framework.errors import WeightsError
from sphinx_framework_dust3r.config import DUSt3RConfig
from sphinx_framework_dust3r.network.pair_network import PairNetwork
from sphinx_framework_dust3r.weights import OFFICIAL, build_network

CPU = torch.device("cpu")
PROJECTION = "downstream_head1.dpt.scratch.layer{}_rn.weight"
ALIAS = "downstream_head1.dpt.scratch.layer_rn.{}.weight"


def with_weights(config: DUSt3RConfig, path: Path | str) -> DUSt3RConfig:
    return config.model_copy(update={"weights": str(path)})


@pytest.fixture
def state(tiny_config: DUSt3RConfig) -> dict[str, Tensor]:
    return dict(build_network(tiny_config, CPU).state_dict())


def same(network: PairNetwork, state: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_random_weights_depend_on_the_seed_alone(tiny_config: DUSt3RConfig) -> None:
    first = build_network(tiny_config, CPU)
    torch.rand(7)
    assert same(build_network(tiny_config, CPU), dict(first.state_dict()))
    other = build_network(tiny_config.model_copy(update={"seed": 1}), CPU)
    assert not same(other, dict(first.state_dict()))


def test_random_weights_leave_the_global_generator_alone(tiny_config: DUSt3RConfig) -> None:
    before = torch.random.get_rng_state()
    build_network(tiny_config, CPU)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_safetensors_file_loads(
    tiny_config: DUSt3RConfig, state: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors")
    for place in (tmp_path / "model.safetensors", tmp_path):
        assert same(build_network(with_weights(tiny_config, place), CPU), state)


def test_an_official_pth_layout_loads_with_both_names_of_the_projections(
    tiny_config: DUSt3RConfig, state: dict[str, Tensor], tmp_path: Path
) -> None:
    both = state | {ALIAS.format(i): state[PROJECTION.format(i + 1)] for i in range(4)}
    arguments = argparse.Namespace(model="AsymmetricCroCo3DStereo(...)")
    torch.save({"args": arguments, "model": both}, tmp_path / "model.pth")
    assert same(build_network(with_weights(tiny_config, tmp_path / "model.pth"), CPU), state)


def test_a_checkpoint_without_second_decoder_lends_it_the_first(
    tiny_config: DUSt3RConfig, state: dict[str, Tensor], tmp_path: Path
) -> None:
    kept = {k: v for k, v in state.items() if not k.startswith("dec_blocks2.")}
    torch.save(kept, tmp_path / "croco.pth")
    loaded = build_network(with_weights(tiny_config, tmp_path / "croco.pth"), CPU).state_dict()
    name = "dec_blocks2.0.attn.qkv.weight"
    assert torch.equal(loaded[name], state["dec_blocks.0.attn.qkv.weight"])


def test_a_wrong_checkpoint_names_what_does_not_fit(
    tiny_config: DUSt3RConfig, state: dict[str, Tensor], tmp_path: Path
) -> None:
    wrong = {k: v for k, v in state.items() if not k.startswith("enc_blocks.0.attn")}
    wrong["enc_norm.weight"] = torch.zeros(3)
    wrong["surplus"] = torch.zeros(1)
    torch.save(wrong, tmp_path / "wrong.pth")
    with pytest.raises(WeightsError) as caught:
        build_network(with_weights(tiny_config, tmp_path / "wrong.pth"), CPU)
    message = caught.value.message
    assert "4 missing (enc_blocks.0.attn.proj.bias" in message
    assert "1 unexpected (surplus)" in message
    assert "1 mis-shaped (enc_norm.weight [3] instead of [16])" in message


def test_at_most_five_names_are_listed(tiny_config: DUSt3RConfig, tmp_path: Path) -> None:
    torch.save({"surplus": torch.zeros(1)}, tmp_path / "empty.pth")
    with pytest.raises(WeightsError) as caught:
        build_network(with_weights(tiny_config, tmp_path / "empty.pth"), CPU)
    assert caught.value.message.split(";")[0].count(",") == 5


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_a_file_cut_short_is_reported(tiny_config: DUSt3RConfig, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        build_network(with_weights(tiny_config, tmp_path / name), CPU)


def test_a_file_of_something_else_is_reported(tiny_config: DUSt3RConfig, tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        build_network(with_weights(tiny_config, tmp_path / "list.pth"), CPU)


def test_a_missing_file_says_what_to_give(tiny_config: DUSt3RConfig, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no checkpoint at") as caught:
        build_network(with_weights(tiny_config, tmp_path / "absent.pth"), CPU)
    assert "DUSt3R_ViTLarge_BaseDecoder_512_dpt" in caught.value.hint


def test_a_name_the_hub_cannot_have_says_what_to_do(tiny_config: DUSt3RConfig) -> None:
    with pytest.raises(WeightsError, match="could not be downloaded") as caught:
        build_network(with_weights(tiny_config, "not//a repository"), CPU)
    assert "set weights to its path" in caught.value.hint
    assert "no commercial use" in caught.value.hint


@pytest.mark.parametrize("revision", [None, "main"])
def test_the_official_repository_is_asked_for_its_pinned_commit(
    tiny_config: DUSt3RConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str | None
) -> None:
    official = "naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt"
    options = {"weights": official, "weights_revision": revision}
    with FakeHub() as hub:
        hub.stand_in(monkeypatch, tmp_path)
        with pytest.raises(WeightsError, match="does not exist there"):
            build_network(tiny_config.model_copy(update=options), CPU)
    assert f"/{official}/resolve/{revision or OFFICIAL[official].commit}/" in hub.requests[0]


def test_half_precision_is_an_option(tiny_config: DUSt3RConfig) -> None:
    network = build_network(tiny_config.model_copy(update={"dtype": "bfloat16"}), CPU)
    assert network.enc_norm.weight.dtype == torch.bfloat16
    assert next(network.downstream_head1.parameters()).dtype == torch.float32
