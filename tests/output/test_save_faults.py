"""A writer that cannot finish leaves what was there, and says so with the path."""

import resource
from contextlib import contextmanager

import pytest

import sphinx_framework as sf
from sphinx_framework.errors import ConfigError, SphinxError
from sphinx_framework.folders.folder import PARTIAL, OutputFolder
from sphinx_framework.output.saves import write_saves
from sphinx_framework.output.saving import SAVES, Saving


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@contextmanager
def files_up_to(size):
    """The file system refuses to let any file grow larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", [name for name in SAVES if name != "masks"])
def test_a_file_system_that_refuses_leaves_the_old_result(result, tmp_path, name):
    out = sf.save_result(result, tmp_path / "out", save=["masks"])
    before = contents(out)

    def fail():
        with OutputFolder(out) as folder, folder.replacing() as new, files_up_to(700):
            write_saves(result, new, Saving(names=(name,)))

    with pytest.raises(SphinxError) as told:
        fail()
    assert str(out) in told.value.message
    assert contents(out) == before
    assert not (out / PARTIAL).exists()


def test_a_file_of_the_users_in_the_way_of_an_output_is_never_replaced(result, tmp_path):
    out = sf.save_result(result, tmp_path / "out")
    (out / "depth").mkdir()
    (out / "depth" / "000.png").write_text("mine")
    with pytest.raises(ConfigError, match=r"000\.png"):
        sf.save_result(result, out, save=["depth"])
    assert (out / "depth" / "000.png").read_text() == "mine"


def test_a_path_that_no_file_system_has_is_refused_at_once(result, tmp_path):
    for wrong in (tmp_path / ("x" * 300), "a\0b", tmp_path / "file" / "out"):
        (tmp_path / "file").write_text("")
        with pytest.raises(SphinxError):
            sf.save_result(result, wrong, save="all")


def test_a_name_too_long_for_a_file_overlaps_nothing(tmp_path):
    targets = "indices:" + ",".join(map(str, range(200)))
    OutputFolder(tmp_path / "out", scenes=["x" * 300], files=[targets]).close()
