"""What a client fetches replaces an earlier result of ours, whole, and nothing else."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from answering import client_of

import sphinx_framework as sf
from sphinx_framework.client import RefusedError, UnreachableError
from sphinx_framework.errors import ConfigError, JobError, SphinxError
from sphinx_framework.folders.folder import PARTIAL, OutputFolder

ID = "job_" + 26 * "x"
JOB = {"id": ID, "status": "succeeded"}
BACK = f"sphinx-nvs submit --server http://server --job {ID} --out"
OLD = {"frames/000.png": b"old 0", "frames/001.png": b"old 1", "report.json": b"{}"}
NEW = {"frames/000.png": b"new 0", "report.json": b'{"new": 1}'}


def contents(folder: Path) -> dict[str, bytes]:
    found = folder.rglob("*")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found if p.is_file()}


def results(folder: Path) -> dict[str, bytes]:
    return {name: file for name, file in contents(folder).items() if name != "manifest.json"}


def listing(files: dict[str, bytes]) -> httpx.Response:
    entries = [
        {"name": name, "url": f"/{name}", "sha256": hashlib.sha256(file).hexdigest()}
        for name, file in files.items()
    ]
    return httpx.Response(200, json={"files": entries})


def job_of(monkeypatch, *answers):
    """A job whose server gives these answers, and what it is asked."""
    client, asked, _ = client_of([httpx.Response(200, json=JOB), *answers], monkeypatch)
    return client.job(ID), asked


def sent(files: dict[str, bytes]) -> list[httpx.Response]:
    return [listing(files), *(httpx.Response(200, content=file) for file in files.values())]


def fetched(monkeypatch, files, out):
    job, _ = job_of(monkeypatch, *sent(files))
    return job.download(out)


@pytest.fixture
def out(monkeypatch, tmp_path):
    """A folder with an earlier result."""
    return fetched(monkeypatch, OLD, tmp_path / "out")


def test_a_result_replaces_the_one_before_and_no_frame_of_that_stays(monkeypatch, out):
    assert results(out) == OLD
    fetched(monkeypatch, NEW, out)
    assert results(out) == NEW
    assert sorted(json.loads((out / "manifest.json").read_text())["files"]) == sorted(NEW)


@pytest.mark.parametrize("name", ["report.json", "frames/000.png", ".writable", "mine/photo.jpg"])
def test_a_file_of_the_users_is_refused_before_anything_is_asked_for(monkeypatch, tmp_path, name):
    (tmp_path / "u" / name).parent.mkdir(parents=True)
    (tmp_path / "u" / name).write_text("mine")
    job, asked = job_of(monkeypatch)
    with pytest.raises(ConfigError, match="is not ours") as told:
        job.download(tmp_path / "u")
    assert f"{BACK} {tmp_path / 'u'}" in str(told.value)
    assert contents(tmp_path / "u") == {name: b"mine"}
    assert len(asked) == 1, "the job itself, and nothing else"


def test_a_file_that_the_user_has_changed_is_kept(monkeypatch, out):
    (out / "frames/000.png").write_text("mine")
    job, _ = job_of(monkeypatch)
    with pytest.raises(ConfigError, match=r"000\.png, which was changed"):
        job.download(out)
    assert contents(out)["frames/000.png"] == b"mine"


def test_a_file_that_comes_while_the_job_runs_is_kept(monkeypatch, tmp_path):
    job, _ = job_of(monkeypatch, *sent(NEW))
    with OutputFolder(tmp_path / "out") as held:
        (tmp_path / "out/report.json").write_text("mine")
        with pytest.raises(ConfigError, match="in the way") as told:
            job.download(held)
    assert f"{BACK} {tmp_path / 'out'}" in told.value.hint
    assert contents(tmp_path / "out") == {"report.json": b"mine"}


def test_the_scene_that_was_sent_never_takes_its_result(monkeypatch, tmp_path):
    (tmp_path / "my").mkdir()
    (tmp_path / "my/transforms.json").write_text("{}")
    client, _, _ = client_of([httpx.Response(202, json=JOB)], monkeypatch)
    job = client.submit(tmp_path / "my")
    for place in ("my", "my/out", "."):
        with pytest.raises(ConfigError, match="overlaps the scene"):
            job.download(tmp_path / place)
    assert contents(tmp_path) == {"my/transforms.json": b"{}"}


def test_a_full_disk_leaves_the_earlier_result_and_tells_how_to_come_back(monkeypatch, out):
    before = contents(out)
    job, _ = job_of(monkeypatch, *sent(NEW))

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobError, match="the disk is full") as told:
        job.download(out)
    assert str(out) in told.value.message
    assert f"{BACK} {out}" in told.value.hint
    assert contents(out) == before


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([httpx.Response(200, content=b"bad")] * 5, UnreachableError),
        ([httpx.Response(500)], UnreachableError),
        ([httpx.Response(401, json={"detail": "no key"})], RefusedError),
    ],
)
def test_a_download_that_breaks_off_leaves_the_earlier_result(monkeypatch, out, answers, error):
    before = contents(out)
    first, *_ = NEW.values()
    job, _ = job_of(monkeypatch, listing(NEW), httpx.Response(200, content=first), *answers)
    with pytest.raises(error) as told:
        job.download(out)
    assert f"{BACK} {out}" in told.value.hint
    assert contents(out) == before
    assert not (out / PARTIAL).exists()


def test_where_the_server_has_forgotten_the_job_nobody_is_told_to_come_back(monkeypatch, out):
    job, _ = job_of(monkeypatch, httpx.Response(404, json={"detail": "no such job"}))
    with pytest.raises(RefusedError) as told:
        job.download(out)
    assert "come back" not in str(told.value)
    assert results(out) == OLD


def test_a_file_that_breaks_off_or_arrives_damaged_is_fetched_again(monkeypatch, tmp_path):
    file = {"frames/000.png": b"good"}
    broken, bad = httpx.ReadError("cut"), httpx.Response(200, content=b"bad")
    job, _ = job_of(monkeypatch, listing(file), bad, broken, httpx.Response(200, content=b"good"))
    assert results(job.download(tmp_path / "out")) == file


@pytest.mark.parametrize(
    "name", ["../evil.png", "/evil.png", "manifest.json", f"{PARTIAL}/new/evil", "a/../../evil"]
)
def test_a_listing_that_leads_elsewhere_is_refused(monkeypatch, out, name):
    before = contents(out.parent)
    job, _ = job_of(monkeypatch, *sent({name: b"evil"}))
    with pytest.raises(UnreachableError, match="outside"):
        job.download(out)
    assert contents(out.parent) == before


@pytest.mark.parametrize("url", ["http://other/f", "//other/f", "f", "/f\n"])
def test_a_file_at_another_server_is_not_asked_for(monkeypatch, tmp_path, url):
    entry = {"name": "a", "url": url, "sha256": "0" * 64}
    job, asked = job_of(monkeypatch, httpx.Response(200, json={"files": [entry]}))
    with pytest.raises(UnreachableError, match="outside"):
        job.download(tmp_path / "out")
    assert len(asked) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["", "<html>", "[]", "{}", '{"files": []}', '{"files": [{"name": 1}]}', "[" * 9999]
)
def test_an_answer_that_is_no_listing_is_told(monkeypatch, out, text):
    before = contents(out)
    job, _ = job_of(monkeypatch, httpx.Response(200, text=text))
    with pytest.raises(SphinxError, match="something else than the files"):
        job.download(out)
    assert contents(out) == before


def test_checking_the_folder_loads_no_torch(tmp_path):
    program = (
        "import sys; from sphinx_framework.client.jobs import OutputFolder as F\n"
        f"F({str(tmp_path / 'out')!r}, scenes=[{str(tmp_path)!r} + '/scene']).close()\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene/transforms.json").write_text("{}")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(sf.__file__).parents[1])
