"""Small uploads that would cost much: counted before any photo is opened; nobody waits for them."""

import asyncio
import io
import json
import zipfile

import httpx
import pytest
from local_server import LocalServer
from photo_scenes import SIZE, transforms

from sphinx_framework.scenes import pictures

PHOTO = SIZE[0] * SIZE[1]


@pytest.fixture
def local(tmp_path):
    made = LocalServer(tmp_path, max_pixels=PHOTO, max_targets=50)
    yield made
    made.close()


@pytest.fixture
def unopened(monkeypatch):
    def refuse(*_):
        raise AssertionError("a photo was opened")

    monkeypatch.setattr(pictures, "read_photo", refuse)


def shared_photo(local, frames):
    """The scene with so many frames, of which all targets name one photo."""
    written = transforms(frames)
    for frame in written["frames"][2:]:
        frame["file_path"] = "images/2.png"
    split = {"train_ids": [0, 1], "test_ids": list(range(2, frames))}
    out = io.BytesIO(local.scene)
    with zipfile.ZipFile(out) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held["transforms.json"] = json.dumps(written).encode()
    held["train_test_split_2.json"] = json.dumps(split).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_too_many_targets_are_refused_before_a_photo_is_opened(local, unopened):
    answer = local.post(scene=shared_photo(local, 102))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/targets", "detail": "at most 50"}]
    asked = local.post({"targets": "interpolate:51"})
    assert asked.json()["errors"] == [{"pointer": "/targets", "detail": "at most 50"}]


def test_a_photo_counts_as_often_as_it_is_used(tmp_path, unopened):
    local = LocalServer(tmp_path, max_pixels=PHOTO, max_photos=10)
    answer = local.post(scene=shared_photo(local, 11))
    assert answer.status_code == 422
    assert f"more than {10 * PHOTO} pixels together" in answer.json()["detail"]
    local.close()


def test_as_many_as_are_allowed_are_accepted(tmp_path):
    local = LocalServer(tmp_path, max_pixels=PHOTO, max_photos=10)
    answer = local.post(scene=shared_photo(local, 10))
    assert answer.status_code == 202, answer.text
    assert answer.json()["scene"]["targets"] == 8
    local.close()


def test_a_job_of_a_known_scene_waits_for_no_upload(local):
    identity = local.call("GET", f"/v1/jobs/{local.accepted()}").json()["scene"]["id"]

    async def run():
        slots = local.server.acceptance._uploads
        while not slots.locked():  # as uploads do that take long to check
            await slots.acquire()
        transport = httpx.ASGITransport(app=local.server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            files = {"scene": ("scene.zip", local.scene)}
            upload = asyncio.create_task(http.post("/v1/jobs", files=files))
            named = {"scene": identity, "targets": "interpolate:3"}
            answer = await asyncio.wait_for(http.post("/v1/jobs", json=named), 60)
            assert not upload.done()
            slots.release()
            return answer.status_code, (await asyncio.wait_for(upload, 60)).status_code

    assert local.runner.run(run()) == (202, 202)
