"""From what the options say to a file, its tensors, and into a network."""

import hashlib
import io
import sys

import numpy as np
import pytest
import torch
from fake_hub import FakeHub
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from sphinx_framework.errors import BrokenPluginError, WeightsError
from sphinx_framework.options import CheckpointOptions
from sphinx_framework.weights import (
    Pin,
    Source,
    library,
    load_strictly,
    randomise,
    read_tensor,
    read_tensors,
)

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}
OLD, NEW = "0" * 40, "1" * 40
OFFICIAL = {"big": Pin(repo="owner/name", file="model.bin", commit=OLD), "hand": Pin(file="h.pt")}


def source(weights, **more):
    options = CheckpointOptions(**more.pop("options", {}))
    return Source(what="U-Net", weights=weights, options=options, official=OFFICIAL, **more)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with FakeHub({"model.bin": b"weights", "other.bin": b"others"}) as server:
        server.stand_in(monkeypatch, tmp_path / "cache")
        yield server


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_path_is_taken_as_it_is(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"x")
    assert source(str(tmp_path / "x.pt")).path() == tmp_path / "x.pt"


def test_an_official_name_is_its_file_at_its_commit(hub):
    assert source("big").path().read_bytes() == b"weights"
    assert hub.requests[0] == f"/owner/name/resolve/{OLD}/model.bin"


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"weights_revision": NEW}, f"/owner/name/resolve/{NEW}/model.bin"),
        ({"weights_file": "other.bin"}, f"/owner/name/resolve/{OLD}/other.bin"),
        ({"weights_repo": "my/copy"}, "/my/copy/resolve/main/model.bin"),
    ],
)
def test_repository_file_and_revision_may_be_others(hub, options, asked):
    source("big", options=options).path()
    assert hub.requests[0] == asked


def test_an_official_file_of_no_repository_is_looked_for_in_its_folder(tmp_path, monkeypatch):
    by_hand = {"variable": "UNET_WEIGHTS", "download": "it from the authors"}
    monkeypatch.setenv("UNET_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"h\.pt is not in") as caught:
        source("hand", **by_hand).path()
    assert str(tmp_path) in caught.value.message
    for part in ("it from the authors", "weights_folder", "$UNET_WEIGHTS"):
        assert part in caught.value.hint
    (tmp_path / "h.pt").write_bytes(b"h")
    assert source("hand", **by_hand).path() == tmp_path / "h.pt"
    monkeypatch.delenv("UNET_WEIGHTS")
    chosen = {"weights_folder": str(tmp_path)}
    assert source("hand", options=chosen, **by_hand).path() == tmp_path / "h.pt"


def test_a_folder_that_is_named_is_where_an_official_file_is_looked_for(tmp_path):
    options = {"weights_folder": str(tmp_path)}
    with pytest.raises(WeightsError, match=r"model\.bin is not in"):
        source("big", options=options).path()
    (tmp_path / "model.bin").write_bytes(b"mine")
    assert source("big", options=options).path().read_bytes() == b"mine"


def test_a_model_without_released_weights_says_so():
    with pytest.raises(WeightsError, match="no released checkpoint"):
        source("hand").path()


def test_a_misspelt_name_is_suggested_and_a_repository_is_none_unless_files_are_named(hub):
    with pytest.raises(WeightsError, match=r"no checkpoint at 'bug'.*Did you mean 'big'"):
        source("bug").path()
    with pytest.raises(WeightsError, match="no checkpoint at 'some/repo'"):
        source("some/repo").path()
    assert source("some/repo", file="model.bin").path().read_bytes() == b"weights"
    assert hub.requests[0].startswith("/some/repo/resolve/main/")


def test_a_folder_is_searched_for_the_file_that_is_named(tmp_path):
    (tmp_path / "m.bin").write_bytes(b"m")
    assert source(str(tmp_path), file="m.bin").path() == tmp_path / "m.bin"
    with pytest.raises(WeightsError, match="no checkpoint at"):
        source(str(tmp_path / "gone.pt"), file="m.bin").path()
    with pytest.raises(WeightsError, match=r"the folder .* has no other\.bin"):
        source(str(tmp_path), file="other.bin").path()


def test_the_bytes_are_checked_where_their_sum_is_known(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    path = str(tmp_path / "x.pt")
    assert source(path, options={"weights_sha256": digest[:12]}).path().exists()
    with pytest.raises(WeightsError, match="not the expected file"):
        source(path, options={"weights_sha256": "0" * 64}).path()


@pytest.fixture
def address(tmp_path, monkeypatch):
    """A file behind an address of this machine, and an empty cache of downloads."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with FakeHub({"x.npy": npy(STATE["a.bias"])}) as server:
        yield server, f"{server.address}/owner/name/resolve/main/x.npy"


def npy(tensor):
    buffer = io.BytesIO()
    np.save(buffer, tensor.numpy())
    return buffer.getvalue()


def test_an_address_is_fetched_once_and_only_the_bytes_that_were_named(address):
    server, url = address
    digest = hashlib.sha256(npy(STATE["a.bias"])).hexdigest()
    for shown in (digest, digest.upper(), digest[:12]):
        path = source(url, options={"weights_sha256": shown}).path()
        assert torch.equal(read_tensor(path, "U-Net"), STATE["a.bias"])
    assert len(server.requests) == 1
    for wrong in ("0" * 64, "0" * 12):
        with pytest.raises(WeightsError, match="U-Net"):
            source(url, options={"weights_sha256": wrong}).path()


def test_an_address_without_a_sum_is_refused_before_anything_is_fetched(address):
    server, url = address
    with pytest.raises(WeightsError, match="which bytes are expected") as caught:
        source(url).path()
    assert "SHA-256" in caught.value.hint
    assert not server.requests


def test_without_pooch_the_error_says_what_to_install(address, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(WeightsError, match="needs the package pooch") as caught:
        source(address[1], options={"weights_sha256": "0" * 64}).path()
    assert "pip install pooch" in caught.value.hint


@pytest.mark.parametrize("name", ["x.npy", "x.safetensors", "x.pt", "alone.pt"])
def test_one_tensor_in_a_file_is_read_with_or_without_a_name(tmp_path, name):
    value = STATE["a.weight"]
    path = tmp_path / name
    if name == "x.npy":
        path.write_bytes(npy(value))
    elif name == "x.safetensors":
        save_file({"x": value}, path)
    else:
        torch.save(value if name == "alone.pt" else {"x": value}, path)
    assert torch.equal(read_tensor(path, "U-Net"), value)


def test_a_file_of_several_tensors_or_none_is_not_taken_for_one(tmp_path):
    for content, told in ((STATE, "2 tensors"), ({"epoch": 3}, "0 tensors")):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(WeightsError, match=f"{told} instead of one"):
            read_tensor(tmp_path / "x.pt", "U-Net")
    for name, content in (("x.npy", b"\x93NUMPY"), ("x.pt", b"zip")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match="cannot be read"):
            read_tensor(tmp_path / name, "U-Net")


def assert_state(found):
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("nest", [None, "state_dict", "model", "module"])
def test_tensors_are_found_where_training_leaves_them(tmp_path, nest):
    content = STATE if nest is None else {nest: STATE, "epoch": 3}
    torch.save(content, tmp_path / "x.ckpt")
    assert_state(read_tensors(tmp_path / "x.ckpt", "U-Net"))
    assert_state(read_tensors(tmp_path / "x.ckpt", "U-Net", mmap=True))


def test_tensors_of_a_safetensors_file_are_read(tmp_path):
    save_file(STATE, tmp_path / "x.safetensors")
    assert_state(read_tensors(tmp_path / "x.safetensors", "U-Net"))


def test_prefixes_are_cut_as_often_as_they_stand_there(tmp_path):
    torch.save({f"module._orig_mod.module.{k}": v for k, v in STATE.items()}, tmp_path / "x.pt")
    assert_state(read_tensors(tmp_path / "x.pt", "U-Net", prefixes=("module.", "_orig_mod.")))


def test_objects_in_a_checkpoint_are_refused_or_skipped_and_never_run(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"state_dict": STATE, "optimiser": Malicious(str(marker))}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        read_tensors(tmp_path / "x.pt", "U-Net")
    assert_state(read_tensors(tmp_path / "x.pt", "U-Net", training=True))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_one_clear_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=rf"U-Net: .*{name} cannot be read") as caught:
        read_tensors(tmp_path / name, "U-Net", hint="Or do without.")
    assert "Or do without." in caught.value.hint


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], torch.ones(2)])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        read_tensors(tmp_path / "x.pt", "U-Net")


def network(device="cpu"):
    with torch.device(device):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Linear(4, 5))


def test_a_checkpoint_fills_a_network_on_the_meta_device_in_the_dtype_asked_for():
    state = network().state_dict()
    made = network("meta")
    load_strictly(made, {k: v.half() for k, v in state.items()}, "U-Net", dtype=torch.bfloat16)
    assert {p.dtype for p in made.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in made.parameters())
    assert not made.training


def test_a_checkpoint_of_another_network_leaves_it_as_it_was():
    made = network()
    before = {k: v.clone() for k, v in made.state_dict().items()}
    with pytest.raises(WeightsError, match=r"1 missing \(0\.weight\)"):
        load_strictly(made, {k: v + 1 for k, v in before.items() if k != "0.weight"}, "U-Net")
    assert all(torch.equal(made.state_dict()[k], v) for k, v in before.items())


@given(seed=st.integers(0, 99), gain=st.sampled_from([0.5, 1.0]), bias=st.sampled_from([0.0, 0.02]))
@settings(max_examples=10, deadline=None)
def test_random_weights_are_those_of_the_seed_and_touch_no_global_generator(seed, gain, bias):
    before = torch.get_rng_state()
    first, again, other = (network("meta") for _ in range(3))
    randomise(first, seed, gain=gain, bias=bias)
    randomise(again, seed, gain=gain, bias=bias)
    randomise(other, seed + 1, gain=gain, bias=bias)
    assert torch.equal(torch.get_rng_state(), before)
    state = first.state_dict()
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in state.items())
    assert not torch.equal(state["0.weight"], other.state_dict()["0.weight"])
    assert torch.equal(state["1.weight"], torch.ones(4))
    assert bool(state["2.bias"].any()) == bool(bias)
    assert 0.3 * gain < float(state["0.weight"].std()) * 27**0.5 < 2 * gain


def test_a_library_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "no_such_library", None)
    with pytest.raises(BrokenPluginError, match=r"needs no_such_library.*pip install it"):
        library("no_such_library.part", what="the component", install="it")
