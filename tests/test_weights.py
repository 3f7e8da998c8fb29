"""Checkpoint files: where they come from, whether they are the right ones."""

import hashlib
import sys
import time
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, FakeHub

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import check_sha256, commit_of, hub_file, require_fit


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with FakeHub({"model.bin": b"weights"}) as server:
        server.stand_in(monkeypatch, tmp_path / "cache")
        yield server


def fetch(hub, filename="model.bin", revision=None):
    return hub_file("owner/name", filename, revision=revision, what="U-Net", endpoint=hub.address)


def test_a_file_at_a_commit_is_fetched_once_and_nothing_is_said(hub, capsys):
    path = fetch(hub, revision=COMMIT)
    assert path.read_bytes() == b"weights"
    assert commit_of(path) == COMMIT
    asked = len(hub.requests)
    assert fetch(hub, revision=COMMIT) == path
    assert len(hub.requests) == asked
    captured = capsys.readouterr()
    assert "not pinned" not in captured.out + captured.err


@pytest.mark.parametrize("revision", [None, "main"])
def test_a_branch_is_resolved_and_the_commit_to_pin_is_told(hub, capsys, revision):
    path = fetch(hub, revision=revision)
    assert commit_of(path) == COMMIT
    captured = capsys.readouterr()
    assert "not pinned to a commit" in captured.out + captured.err
    assert COMMIT in captured.out + captured.err


@pytest.mark.parametrize(
    ("status", "code", "message", "hint"),
    [
        (403, "GatedRepo", "is gated", "Accept the licence"),
        (404, "RepoNotFound", "does not exist there, or is private", "Check repository"),
        (404, "RevisionNotFound", "does not exist there", "revision"),
        (404, "EntryNotFound", "does not exist there", "Check repository"),
    ],
)
def test_what_the_hub_refuses_is_told_with_what_to_do(hub, status, code, message, hint):
    hub.refusal = (status, code)
    with pytest.raises(WeightsError) as caught:
        fetch(hub)
    assert caught.value.message.startswith("U-Net: 'model.bin' of the hub repository 'owner/name'")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "path of a downloaded file" in caught.value.hint


def test_being_offline_is_told_with_what_to_do(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="hub cannot be reached") as caught:
        fetch(hub)
    assert "HF_HUB_OFFLINE" in caught.value.hint


def test_a_name_that_no_repository_can_have_is_one_clear_error():
    with pytest.raises(WeightsError, match="could not be downloaded: HFValidationError"):
        hub_file("not/a/repository", "model.bin", revision=None, what="U-Net")


def test_a_hub_that_cannot_be_reached_is_asked_once_and_nothing_else_is_said(hub, capsys, caplog):
    hub.close()  # its address refuses connections now
    started = time.perf_counter()
    with pytest.raises(WeightsError, match="not on this machine, and the hub cannot be reached"):
        fetch(hub, revision=COMMIT)
    assert time.perf_counter() - started < 15  # the client alone would try for 23 seconds
    assert "Retrying" not in caplog.text + capsys.readouterr().err


def test_a_file_that_is_here_needs_no_hub(hub):
    path = fetch(hub, revision=COMMIT)
    hub.close()
    assert fetch(hub, revision=COMMIT) == path


def test_without_the_hubs_client_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match="needs the package huggingface_hub") as caught:
        hub_file("owner/name", "model.bin", revision=None, what="U-Net")
    assert "pip install huggingface_hub" in caught.value.hint


def test_a_file_outside_of_the_hubs_cache_has_no_commit():
    assert commit_of(Path("folder/model.bin")) is None
    assert commit_of(Path("snapshots/model.bin")) is None


@pytest.mark.parametrize("digits", [64, 8])
def test_the_right_bytes_pass_and_others_are_refused(tmp_path, digits):
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    check_sha256(path, hashlib.sha256(b"weights").hexdigest()[:digits].upper(), "U-Net")
    path.write_bytes(b"weight")
    expected = hashlib.sha256(b"weights").hexdigest()[:digits]
    with pytest.raises(WeightsError, match=f"not the expected file: .*, not {expected}"):
        check_sha256(path, expected, "U-Net")


def test_a_checkpoint_that_fits_passes():
    weights = {"a": torch.zeros(2, 3), "b": torch.zeros(1)}
    require_fit({key: value.to("meta") for key, value in weights.items()}, weights, "file", "hint")


def test_what_does_not_fit_is_counted_and_the_first_five_keys_are_named():
    expected = {f"k{i}": torch.zeros(1) for i in range(9)}
    found = {"k7": torch.zeros(2), "k8": torch.zeros(1), "extra": torch.zeros(1)}
    with pytest.raises(WeightsError) as caught:
        require_fit(expected, found, "U-Net: model.bin", "Is it the right one?")
    assert caught.value.message == (
        "U-Net: model.bin does not fit the network: 7 missing (k0, k1, k2, k3, k4, ...); "
        "1 unexpected (extra); 1 mis-shaped (k7 [2] instead of [1]) (of 9 expected)."
    )
    assert caught.value.hint == "Is it the right one?"
