"""The real command over HTTP, with a pipeline of fakes."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from sphinx_framework.client.pack import packed


@pytest.fixture(scope="module")
def done(server):
    answer = server.post({"seed": 3})
    assert answer.status_code == 202, answer.text
    return server.ended(answer.json()["id"])


def test_frames_are_those_of_render(server, done, tmp_path):
    assert done["status"] == "succeeded", done["error"]
    rendered = server.run(
        "render", "--config", server.config, "--scene", server.scene, "--out", tmp_path / "out",
        "--seed", 3, "--set", "engine.threads=1",
    )  # fmt: skip
    assert rendered.returncode == 0, rendered.stderr
    fetched = server.run("submit", "--job", done["id"], "--out", tmp_path / "got", "--json")
    assert fetched.returncode == 0, fetched.stderr
    assert json.loads(fetched.stdout)["job"]["id"] == done["id"]
    for frame in sorted((tmp_path / "out" / "frames").iterdir()):
        assert (tmp_path / "got" / "frames" / frame.name).read_bytes() == frame.read_bytes()
    names = {p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.*")}
    assert names == {p.relative_to(tmp_path / "got") for p in (tmp_path / "got").rglob("*.*")}


def test_events_come_in_their_order_and_name_files_that_are_there(server, done):
    events = server.events(done["id"])
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    names = [name for _, name, _ in events if name != "progress"]
    kinds = ["status", "status", *["preview"] * 3, "plan", *["frame"] * 3, "done"]
    assert names == kinds
    for _, name, data in events:
        if name in ("preview", "frame"):
            content = httpx.get(server.url + data["url"]).content
            assert hashlib.sha256(content).hexdigest() == data["sha256"]


def test_a_stream_resumes_at_every_event(server, done):
    whole = server.events(done["id"])
    for after in range(len(whole)):
        assert server.events(done["id"], after) == whole[after:]


def test_a_stream_tells_while_the_job_waits_and_runs(server):
    job = server.post({"mode": "diffusion", "seed": 8}).json()["id"]
    names = [name for _, name, _ in server.events(job)]
    assert (names[0], names[-1]) == ("status", "done")


def test_the_same_key_is_the_same_job(server):
    first = server.post({"seed": 1}, **{"Idempotency-Key": "k"})
    again = server.post({"seed": 1}, **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    other = server.post({"seed": 2}, **{"Idempotency-Key": "k"})
    assert other.json()["type"].endswith("idempotency-key-reused")


def test_the_zip_holds_the_manifest(server, done):
    link = f"{server.url}/v1/jobs/{done['id']}"
    files = httpx.get(f"{link}/result").json()["files"]
    with zipfile.ZipFile(io.BytesIO(httpx.get(f"{link}/result.zip").content)) as archive:
        found = {n: hashlib.sha256(archive.read(n)).hexdigest() for n in archive.namelist()}
    assert found == {entry["name"]: entry["sha256"] for entry in files}


@pytest.mark.parametrize(
    "name", ["../../jobs.sqlite3", "%2e%2e/%2e%2e/VERSION", "frames%2f000.png", "frames//000.png",
             "/etc/passwd", "frames/000.png%00", "frames\\000.png", "FRAMES/000.png"]
)  # fmt: skip
def test_only_exact_names_of_files_exist(server, done, name):
    answer = httpx.get(f"{server.url}/v1/jobs/{done['id']}/files/{name}")
    assert answer.status_code == 404


def test_reports_and_jobs_hold_no_path_of_the_server(server, done):
    link = f"{server.url}/v1/jobs/{done['id']}"
    for path in ("", "/result", "/files/report.json", "/files/transforms.json"):
        assert str(server.folder) not in httpx.get(link + path).text


def test_every_error_is_a_problem_document(server):
    for method, path in [("GET", "/x"), ("PUT", "/v1/jobs"), ("GET", "/v1/jobs/x"), ("POST", "/")]:
        answer = httpx.request(method, server.url + path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    answer = httpx.put(server.url + "/v1/jobs")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_a_refused_upload_leaves_nothing_behind(server):
    before = sorted((server.folder / "data").rglob("*.png"))
    files = {"scene": ("x.zip", b"PK\x03\x04 broken")}
    assert httpx.post(server.url + "/v1/jobs", files=files).status_code == 422
    assert sorted((server.folder / "data").rglob("*.png")) == before
    assert not list((server.folder / "data" / "tmp").iterdir())


def test_deleting_takes_the_files_and_the_scene_with_the_last_job(server):
    job = server.ended(server.post({"seed": 77}).json()["id"])
    assert httpx.delete(f"{server.url}/v1/jobs/{job['id']}").status_code == 204
    assert httpx.get(f"{server.url}/v1/jobs/{job['id']}").status_code == 404
    assert not (server.folder / "data" / "jobs" / job["id"]).exists()
    scene = server.folder / "data" / "scenes" / job["scene"]["id"].removeprefix("sha256:")
    assert scene.exists(), "other jobs have it"


def test_a_hangup_stops_nothing(server):
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(lambda: "hangup ignored" in server.log.read_text())
    assert httpx.get(server.url + "/healthz").status_code == 200


def test_head_answers_like_get_without_a_body(server, done):
    link = f"{server.url}/v1/jobs/{done['id']}/files/frames/000.png"
    head, got = httpx.head(link), httpx.get(link)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    assert httpx.head(f"{server.url}/v1/jobs/{done['id']}/events").status_code == 405


def test_the_facade_shows_the_job_as_a_video(server, done):
    video = httpx.get(f"{server.url}/v1/videos/{done['id']}").json()
    assert (video["status"], video["progress"], video["size"]) == ("completed", 100, "40x32")
    content = httpx.get(f"{server.url}/v1/videos/{done['id']}/content")
    assert content.headers["content-type"] == "video/mp4"
    assert httpx.get(f"{server.url}/v1/videos/x").json()["error"]["code"] == "not-found"


def test_a_video_is_made_and_deleted_by_the_calls_of_the_openai_package(server):
    """What ``examples/openai_videos.py`` sends, as openai 3.57 puts it on the wire."""
    with packed(server.scene) as archive:
        files = {"input_reference": ("scene.zip", archive, "application/zip")}
        fields = {"prompt": "ignored", "seed": "3", "request": '{"targets": "interpolate:2"}'}
        made = httpx.post(server.url + "/v1/videos", files=files, data=fields)
    assert made.status_code == 200, made.text
    link = f"{server.url}/v1/videos/{made.json()['id']}"
    done = server.wait_for(lambda: (v := httpx.get(link).json())["status"] == "completed" and v)
    assert (done["object"], done["progress"], done["error"]) == ("video", 100, None)
    assert server.job(done["id"])["request"]["seed"] == 3
    listed = httpx.get(server.url + "/v1/videos", params={"limit": 1, "order": "desc"}).json()
    assert (listed["object"], listed["first_id"]) == ("list", done["id"])
    video = httpx.get(f"{link}/content")
    assert video.headers["content-type"] == "video/mp4"
    gone = httpx.delete(link).json()
    assert gone == {"id": done["id"], "object": "video.deleted", "deleted": True}
    assert httpx.get(link).status_code == 404


def test_the_example_of_the_openai_package_makes_a_video(server, tmp_path):
    script = Path(__file__).parents[2] / "examples" / "openai_videos.py"
    out = tmp_path / "out.mp4"
    ended = subprocess.run(
        [sys.executable, script, server.scene, out, "--server", server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert f"{out}: 40x32, {out.stat().st_size} bytes" in ended.stdout
