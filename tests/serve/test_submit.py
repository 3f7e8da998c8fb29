"""``submit --out`` against the real server treats its folder exactly as ``render`` does."""

import json
import re
from pathlib import Path

import httpx
import pytest


def contents(folder: Path) -> dict[str, bytes]:
    found = folder.rglob("*")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found if p.is_file()}


def frames(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "frames").iterdir())


def accepted(server) -> float:
    """How many jobs the server has accepted so far."""
    text = httpx.get(server.url + "/metrics").text
    found = re.search(r"^sphinx_jobs_accepted_total (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0


def submitted(server, out, *more):
    return server.run("submit", "--scene", server.scene, "--out", out, *more)


def rendered(server, out):
    return server.run(
        "render", "--config", server.config, "--scene", server.scene, "--out", out,
        "--set", "engine.threads=1",
    )  # fmt: skip


@pytest.mark.parametrize("place", [".", "out", "images"])
def test_a_folder_in_the_scene_is_refused_before_anything_is_sent(server, place):
    before, jobs = contents(server.scene), accepted(server)
    ended = submitted(server, server.scene / place)
    assert ended.returncode == 2
    assert "overlaps the scene" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert contents(server.scene) == before
    assert not (server.scene / "out").exists()
    assert accepted(server) == jobs


@pytest.mark.parametrize("name", ["report.json", ".writable", "frames/000.png"])
def test_a_file_of_the_users_is_refused_before_anything_is_sent(server, tmp_path, name):
    (tmp_path / "u" / name).parent.mkdir(parents=True)
    (tmp_path / "u" / name).write_text("mine")
    jobs = accepted(server)
    ended = submitted(server, tmp_path / "u")
    assert ended.returncode == 2
    assert f"holds {name}, which is not ours" in ended.stderr
    assert contents(tmp_path / "u") == {name: b"mine"}
    assert accepted(server) == jobs


def test_submit_and_render_replace_each_others_results_whole(server, tmp_path):
    out = tmp_path / "out"
    assert submitted(server, out, "--targets", "interpolate:5").returncode == 0
    assert len(frames(out)) == 5
    again = submitted(server, out, "--targets", "interpolate:2")
    assert again.returncode == 0, again.stderr
    assert frames(out) == ["000.png", "001.png"]
    listed = json.loads((out / "manifest.json").read_text())["files"]
    assert set(listed) == set(contents(out)) - {"manifest.json"}
    own = rendered(server, out)
    assert own.returncode == 0, own.stderr
    assert len(frames(out)) == 3
    back = submitted(server, out, "--targets", "interpolate:2")
    assert back.returncode == 0, back.stderr
    assert frames(out) == ["000.png", "001.png"]


def test_a_job_that_nobody_waited_for_is_fetched_as_it_told(server, tmp_path):
    left = submitted(server, tmp_path / "out", "--no-wait")
    assert left.returncode == 0, left.stderr
    assert not (tmp_path / "out").exists()
    job = left.stdout.strip()
    told = f"submit --server {server.url} --job {job} --out {tmp_path / 'out'}"
    assert told in left.stderr
    fetched = server.run(*told.split())
    assert fetched.returncode == 0, fetched.stderr
    assert len(frames(tmp_path / "out")) == 3


def test_without_a_folder_it_tells_how_to_fetch_the_result(server):
    ended = server.run("submit", "--scene", server.scene)
    assert ended.returncode == 0
    assert re.search(r"fetch it with: sphinx-nvs submit .* --job \S+ --out DIR", ended.stderr)


def test_a_job_that_was_sent_takes_no_wishes(server, tmp_path):
    told = server.run(
        "submit", "--job", "job_1", "--seed", 7, "--degrade", "--idempotency-key", "k",
        "--out", tmp_path / "o",
    )  # fmt: skip
    assert told.returncode == 2
    assert "--seed, --idempotency-key, --degrade cannot be given with --job" in told.stderr
