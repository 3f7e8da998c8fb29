import hashlib
import os

import pytest

from sphinx_framework.errors import ConfigError
from sphinx_framework.serve.datadir import DataDirectory
from sphinx_framework.serve.keys import ApiKeys, make_key


@pytest.fixture
def keys(tmp_path):
    key, line = make_key("alice")
    (tmp_path / "keys").write_text(f"# ours\n\n{line}\n")
    return ApiKeys(tmp_path / "keys"), key


def test_a_made_key_opens_and_its_line_does_not_hold_it(keys):
    known, key = keys
    assert known.owner(f"Bearer {key}") == "alice"
    assert key not in known.path.read_text()


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Basic {key}", "{key}"])
def test_anything_else_does_not(keys, header):
    known, key = keys
    assert known.owner(header and header.format(key=key)) is None


def test_the_file_is_read_again_when_it_changes(keys):
    known, key = keys
    known.path.write_text(f"bob {hashlib.sha256(b'k').hexdigest()}\n")
    assert known.owner("Bearer k") == "bob"
    assert known.owner(f"Bearer {key}") is None


def test_a_file_in_the_middle_of_an_edit_keeps_the_known_keys(keys):
    known, key = keys
    known.path.write_text("half a li")
    assert known.owner(f"Bearer {key}") == "alice"


@pytest.mark.parametrize("text", ["alice", "alice zz", "a b c"])
def test_a_wrong_line_is_named(tmp_path, text):
    (tmp_path / "keys").write_text(f"# fine\n{text}\n")
    with pytest.raises(ConfigError, match="line 2"):
        ApiKeys(tmp_path / "keys")


def test_a_directory_belongs_to_one_server(tmp_path):
    first = DataDirectory(tmp_path / "data")
    with pytest.raises(ConfigError, match="another server"):
        DataDirectory(tmp_path / "data")
    first.close()
    DataDirectory(tmp_path / "data").close()
    assert os.stat(tmp_path / "data").st_mode & 0o777 == 0o700


def test_a_directory_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match="not a server's"):
        DataDirectory(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_another_version_is_refused_untouched(tmp_path):
    (tmp_path / "VERSION").write_text("sphinx-nvs-data 99\n")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "x").touch()
    with pytest.raises(ConfigError, match="another version"):
        DataDirectory(tmp_path)
    assert (tmp_path / "tmp" / "x").exists()
