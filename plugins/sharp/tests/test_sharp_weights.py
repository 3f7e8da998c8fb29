import hashlib

import pytest
import torch
from safetensors.torch import save_file

from sphinx_framework.errors import WeightsError
from sphinx_framework_sharp.model import Sharp
from sphinx_framework_sharp.network import SharpNetwork
from sphinx_framework_sharp.weights import FILE, load_weights


def built(config):
    with torch.device("meta"):
        return SharpNetwork(config.network)


@pytest.fixture
def official_like(tiny_config, tmp_path):
    """A plain state dict of a tiny network, as the official file is one."""
    network = built(tiny_config)
    load_weights(network, tiny_config)
    path = tmp_path / "tiny.pt"
    torch.save(network.state_dict(), path)
    return network.state_dict(), path


def loaded(config, path):
    network = built(config)
    load_weights(network, config.model_copy(update={"weights": str(path)}))
    return network.state_dict()


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for key in expected:
        torch.testing.assert_close(actual[key], expected[key], rtol=0, atol=0)


def test_a_state_dict_loads_from_either_kind_of_file(official_like, tiny_config, tmp_path):
    state, path = official_like
    assert_same(loaded(tiny_config, path), state)
    save_file(state, tmp_path / "tiny.safetensors")
    assert_same(loaded(tiny_config, tmp_path / "tiny.safetensors"), state)


def test_missing_unexpected_and_misshaped_tensors_are_refused(official_like, tiny_config, tmp_path):
    state, _ = official_like
    odd = dict(state, extra=torch.ones(1))
    del odd["prediction_head.geometry_prediction_head.bias"]
    odd["feature_model.fusion.out_conv.bias"] = torch.ones(3)
    torch.save(odd, tmp_path / "odd.pt")
    with pytest.raises(WeightsError, match=r"1 missing .*1 unexpected \(extra.*1 mis-shaped"):
        loaded(tiny_config, tmp_path / "odd.pt")


def test_the_official_file_is_found_in_its_folder(official_like, tiny_config, monkeypatch):
    state, path = official_like
    path.rename(path.with_name(FILE))
    monkeypatch.setenv("SPHINX_SHARP_WEIGHTS", str(path.parent))
    assert_same(loaded(tiny_config, "sharp"), state)


def test_an_absent_official_file_says_where_to_get_it_and_its_licence(
    tiny_config, tmp_path, monkeypatch
):
    monkeypatch.setenv("SPHINX_SHARP_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="is not in") as caught:
        Sharp(tiny_config.model_copy(update={"weights": "sharp"}), torch.device("cpu"))
    assert str(tmp_path) in caught.value.message
    assert "ml-site.cdn-apple.com" in caught.value.hint
    assert "not for commercial use" in caught.value.hint


def test_a_repository_of_the_users_own_is_asked_at_the_revision_given(
    tiny_config, tmp_path, monkeypatch
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    config = tiny_config.model_copy(
        update={
            "weights": "sharp", "weights_repo": "someone/sharp", "weights_revision": "0" * 40,
        }
    )  # fmt: skip
    with pytest.raises(WeightsError, match=r"'sharp_2572gikvuh\.pt' of .* 'someone/sharp'"):
        load_weights(built(config), config)


def test_a_file_with_another_checksum_is_refused(official_like, tiny_config):
    state, path = official_like
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = tiny_config.model_copy(update={"weights_sha256": digest})
    assert_same(loaded(right, path), state)
    wrong = tiny_config.model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(WeightsError, match="is not the expected file"):
        loaded(wrong, path)


def test_a_misspelt_name_is_suggested(tiny_config):
    with pytest.raises(WeightsError, match="no checkpoint at 'shrap'") as caught:
        loaded(tiny_config, "shrap")
    assert "Did you mean 'sharp'?" in caught.value.hint


def test_random_weights_depend_on_the_seed_only(tiny_config):
    first, again, other = (built(tiny_config) for _ in range(3))
    before = torch.get_rng_state()
    load_weights(first, tiny_config)
    load_weights(again, tiny_config)
    load_weights(other, tiny_config.model_copy(update={"seed": 1}))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(first.state_dict(), again.state_dict())
    key = "feature_model.image_encoder.conv.weight"
    assert not torch.equal(first.state_dict()[key], other.state_dict()[key])
