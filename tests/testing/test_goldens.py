import json

import pytest
import torch
from goldens import golden, golden_names, goldens_folders
from safetensors.torch import save_file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SPHINX_GOLDENS", str(tmp_path))
    monkeypatch.delenv("SPHINX_REQUIRE_FIXTURES", raising=False)
    return tmp_path


def test_the_folder_can_be_chosen(folder):
    assert goldens_folders() == (folder,)


def test_small_goldens_lie_in_the_repository_and_large_ones_beside_it(monkeypatch):
    monkeypatch.delenv("SPHINX_GOLDENS", raising=False)
    small, large = goldens_folders()
    assert small.parts[-3:] == ("tests", "fixtures", "goldens")
    assert large.parts[-2:] == ("shared", "goldens")
    assert golden("sphinx_cluster_centers").tensors
    assert "sphinx_cluster_centers" in golden_names("sphinx_*")


def test_where_fixtures_are_required_an_absent_one_fails(folder, monkeypatch):
    monkeypatch.setenv("SPHINX_REQUIRE_FIXTURES", "1")
    with pytest.raises(pytest.fail.Exception, match="'missing' is not in"):
        golden("missing")


def test_an_absent_golden_skips_the_test_and_says_which(folder):
    with pytest.raises(pytest.skip.Exception, match="'missing' is not in"):
        golden("missing")


def test_description_and_tensors_are_loaded_together(folder):
    (folder / "one.json").write_text(json.dumps({"size": 3}))
    save_file({"in/x": torch.ones(2), "in/y": torch.zeros(1)}, folder / "one.safetensors")
    loaded = golden("one")
    assert loaded.info == {"size": 3}
    assert loaded.under("in/").keys() == {"x", "y"}


def test_a_golden_may_be_a_description_only(folder):
    (folder / "one.json").write_text("{}")
    assert golden("one").tensors == {}


def test_a_description_of_arrays_that_are_missing_is_an_error(folder):
    (folder / "one.json").write_text(json.dumps({"tensors": {"in/x": {"shape": [2]}}}))
    with pytest.raises(FileNotFoundError, match=r"'one' has a description but no .*one\.saf"):
        golden("one")


def test_parameters_in_eight_bits_are_widened(folder):
    (folder / "one.json").write_text("{}")
    save_file({"p": torch.ones(2).to(torch.float8_e4m3fn)}, folder / "one.safetensors")
    assert golden("one").tensors["p"].dtype == torch.float32
