"""Files of jobs over HTTP: ranges, tags, and files that are gone."""

import hashlib

import pytest
from local_server import LocalServer

from sphinx_framework.serve import store

CONTENT = bytes(range(100))
TAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    made = LocalServer(tmp_path_factory.mktemp("files"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def video(local):
    job = local.accepted()
    local.finish(job)
    local.write(job, 0)
    path = local.server.data.job(job) / "files" / "video.mp4"
    path.write_bytes(CONTENT)
    entry = {
        "name": "video.mp4",
        "media_type": "video/mp4",
        "bytes": len(CONTENT),
        "sha256": TAG.strip('"'),
    }
    local.transact(lambda t: store.add_files(t, job, [entry], in_result=True))
    return f"/v1/jobs/{job}/files/video.mp4"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ("bytes=0-0", CONTENT[:1]),
        ("bytes=10-19", CONTENT[10:20]),
        ("bytes=90-", CONTENT[90:]),
        ("bytes=90-1000000", CONTENT[90:]),
        ("bytes=-10", CONTENT[-10:]),
        ("bytes=-1000", CONTENT),
        ("bytes=95-" + "9" * 30, CONTENT[95:]),
        ("Bytes=3-4", CONTENT[3:5]),
    ],
)
def test_one_range_is_that_part(local, video, given, part):
    answer = local.call("GET", video, headers={"Range": given})
    assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-range"].endswith("/100")


@pytest.mark.parametrize("given", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_a_problem_that_says_the_size(local, video, given):
    answer = local.call("GET", video, headers={"Range": given})
    assert answer.status_code == 416
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-range"] == "bytes */100"


@pytest.mark.parametrize(
    "given",
    ["bytes=5-2", "bytes=x", "bytes=0-1,3-4", "lines=1-2", "bytes", "", "bytes=-", "bytes=1-2-3",
     "bytes=٣-٤", "bytes=0x1-2", "bytes=" + "9" * 4000 + "-"],
)  # fmt: skip
def test_what_is_not_one_range_is_ignored(local, video, given):
    answer = local.call("GET", video, headers={b"range": given.encode()})
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_a_range_of_another_version_is_the_whole_file(local, video):
    headers = {"Range": "bytes=0-4", "If-Range": '"other"'}
    assert local.call("GET", video, headers=headers).status_code == 200
    assert local.call("GET", video, headers={**headers, "If-Range": TAG}).status_code == 206


@pytest.mark.parametrize("given", [TAG, f"W/{TAG}", f'"x", {TAG}', "*"])
def test_a_known_version_is_not_sent_again(local, video, given):
    answer = local.call("GET", video, headers={"If-None-Match": given})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == TAG


def test_a_file_that_is_deleted_at_this_moment_is_not_found(local, video):
    path = local.server.data.jobs / video.split("/")[3] / "files" / "video.mp4"
    path.rename(path.with_suffix(".gone"))
    answer = local.call("GET", video)
    path.with_suffix(".gone").rename(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("limit", ["+5", " 5", "1_0", "5.0", "٣", "0x5", "0", "101", ""])
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/videos"])
def test_a_page_has_a_plain_number_of_jobs(local, path, limit):
    assert local.call("GET", path, params={"limit": limit}).status_code == 400
    assert local.call("GET", path, params={"limit": "007"}).status_code == 200


def test_two_last_event_ids_are_no_number(local, video):
    events = video.split("/files/")[0] + "/events"
    both = [("Last-Event-ID", "1"), ("Last-Event-ID", "2")]
    assert local.call("GET", events, headers=both).status_code == 400
    assert local.call("GET", events, headers=both[:1]).status_code == 200
