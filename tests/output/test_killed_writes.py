"""A file that is written alone, and a run killed at any moment of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sphinx_framework.errors import ConfigError
from sphinx_framework.folders.folder import OutputFolder

WRITER = """
import os, sys
from sphinx_framework.folders.folder import OutputFolder
left = [int(sys.argv[2])]
def hook(event, arguments):
    if event in {"open", "os.rename", "os.mkdir"} and str(arguments[0]).startswith(sys.argv[1]):
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)
with OutputFolder(sys.argv[1]) as folder:
    folder.write("record", "old" * 9)
    sys.addaudithook(hook)
    folder.write("record", "new")
"""


def test_a_file_is_the_old_or_the_new_one_and_can_be_written_again(tmp_path):
    found, calls = set(), 0
    while True:
        calls += 1
        place = tmp_path / str(calls)
        ended = subprocess.run([sys.executable, "-c", WRITER, str(place), str(calls)])
        assert ended.returncode in (0, 9)
        found.add((place / "record").read_text())
        with OutputFolder(place) as folder:
            folder.write("record", "newer")
            assert folder.whole()
        assert (place / "record").read_text() == "newer"
        with OutputFolder(place) as folder:
            assert folder.whole()
        if ended.returncode == 0:
            break
    assert calls > 4
    assert found == {"old" * 9, "new"}


def test_a_write_that_fails_leaves_a_folder_that_goes_on(tmp_path, monkeypatch):
    with OutputFolder(tmp_path / "out") as folder:
        folder.write("record", "old")
        with monkeypatch.context() as broken:
            broken.setattr("os.replace", _refuse)
            with pytest.raises(ConfigError, match="cannot write"):
                folder.write("record", "new")
        folder.write("other", "x")
        folder.write("record", "newest")
        assert folder.whole()
    assert (tmp_path / "out/record").read_text() == "newest"


def _refuse(old: Path, new: Path) -> None:
    raise PermissionError(13, "Permission denied")
