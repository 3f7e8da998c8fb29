import functools
import hashlib

import pytest
import torch
from safetensors.torch import save_file

from sphinx_framework.errors import WeightsError
from sphinx_framework_mvsplat.config import MVSplatConfig
from sphinx_framework_mvsplat.encoder import Encoder
from sphinx_framework_mvsplat.weights import load_weights


def built(config):
    with torch.device("meta"):
        return Encoder(config.encoder)


@pytest.fixture
def official_like(tiny_config, tmp_path):
    """A Lightning checkpoint of a tiny encoder, with callback state as training leaves it."""
    network = built(tiny_config)
    load_weights(network, tiny_config)
    state = {f"encoder.{key}": value for key, value in network.state_dict().items()}
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {**state, "losses.0.bias": torch.ones(2)}, "epoch": 3}, path)
    return network, path


def loaded(config, path):
    network = built(config)
    load_weights(network, config.model_copy(update={"weights": str(path)}))
    return network.state_dict()


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for key in expected:
        torch.testing.assert_close(actual[key], expected[key], rtol=0, atol=0)


def test_a_lightning_checkpoint_loads_and_other_entries_are_ignored(official_like, tiny_config):
    network, path = official_like
    assert_same(loaded(tiny_config, path), network.state_dict())


def test_a_safetensors_file_loads(official_like, tiny_config, tmp_path):
    network, _ = official_like
    save_file(network.state_dict(), tmp_path / "mvsplat.safetensors")
    assert_same(loaded(tiny_config, tmp_path / "mvsplat.safetensors"), network.state_dict())


def test_foreign_objects_in_a_checkpoint_are_skipped_and_never_run(
    official_like, tiny_config, tmp_path
):
    network, path = official_like
    marker = tmp_path / "ran"
    content = torch.load(path, weights_only=True)
    content["callbacks"] = functools.partial(print, {"a": [1, 2]})
    content["optimizer_states"] = [Malicious(str(marker))]
    torch.save(content, path)
    assert_same(loaded(tiny_config, path), network.state_dict())
    assert not marker.exists()


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_checkpoint_of_other_sizes_is_refused_with_its_first_keys(official_like, tiny_config):
    _, path = official_like
    other = tiny_config.model_copy(
        update={"encoder": tiny_config.encoder.model_copy(update={"d_feature": 12})}
    )
    with pytest.raises(WeightsError, match=r"mis-shaped \(backbone.backbone.conv2.bias \[8\]"):
        loaded(other, path)


def test_missing_and_unexpected_keys_are_counted_and_listed(official_like, tiny_config):
    _, path = official_like
    content = torch.load(path, weights_only=True)
    for key in sorted(content["state_dict"])[:7]:
        del content["state_dict"][key]
    content["state_dict"]["encoder.extra"] = torch.ones(1)
    torch.save(content, path)
    with pytest.raises(
        WeightsError, match=r"7 missing \(([^,]+, ){5}\.\.\.\); 1 unexpected \(extra"
    ):
        loaded(tiny_config, path)


def test_an_absent_official_file_says_where_to_get_it_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SPHINX_MVSPLAT_WEIGHTS", str(tmp_path))
    config = MVSplatConfig(weights="acid")
    with pytest.raises(WeightsError, match=r"acid\.ckpt is not in") as caught:
        load_weights(built(config), config)
    assert str(tmp_path) in caught.value.message
    assert "drive.google.com" in caught.value.hint


def test_an_official_file_is_found_in_its_folder(official_like, tiny_config, monkeypatch):
    network, path = official_like
    official = path.rename(path.with_name("re10k.ckpt"))
    assert_same(loaded(tiny_config, official), network.state_dict())
    by_name = tiny_config.model_copy(
        update={"weights": "re10k", "weights_folder": str(path.parent)}
    )
    found = built(by_name)
    load_weights(found, by_name)
    assert_same(found.state_dict(), network.state_dict())


def test_a_repository_of_the_users_own_is_asked_at_the_revision_given(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    config = MVSplatConfig(weights_repo="someone/mvsplat", weights_revision="0" * 40)
    with pytest.raises(WeightsError, match=r"'re10k\.ckpt' of .* 'someone/mvsplat'") as caught:
        load_weights(built(config), config)
    assert "path of a downloaded file" in caught.value.hint


def test_a_file_with_another_checksum_is_refused(official_like, tiny_config):
    network, path = official_like
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = tiny_config.model_copy(update={"weights_sha256": digest})
    assert_same(loaded(right, path), network.state_dict())
    wrong = tiny_config.model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(WeightsError, match="is not the expected file"):
        loaded(wrong, path)


def test_a_misspelt_name_is_suggested(tiny_config):
    with pytest.raises(WeightsError, match="no checkpoint at 're1k'") as caught:
        loaded(tiny_config, "re1k")
    assert "Did you mean 're10k'?" in caught.value.hint


def test_random_weights_depend_on_the_seed_only(tiny_config):
    torch.rand(3)
    first, again, other = (built(tiny_config) for _ in range(3))
    before = torch.get_rng_state()
    load_weights(first, tiny_config)
    load_weights(again, tiny_config)
    load_weights(other, tiny_config.model_copy(update={"seed": 1}))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(first.state_dict(), again.state_dict())
    key = "backbone.backbone.conv1.weight"
    assert not torch.equal(first.state_dict()[key], other.state_dict()[key])
