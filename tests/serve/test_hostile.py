"""Hostile HTTP, JSON and pictures against a real server: refused, never a 500, and it lives on."""

import io
import json
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import httpx
import pytest
from servers import LIMIT

from sphinx_framework.serve.problems import TITLES

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def still_serves(server):
    """Whatever was sent, the server answers, has made no job, and holds nothing of it."""
    before = jobs(server)
    yield
    assert httpx.get(server.url + "/healthz").status_code == 200
    assert jobs(server) == before
    # A connection that was cut is cleared up when the server hears of it.
    server.wait_for(lambda: not list((server.folder / "data" / "tmp").iterdir()))


def jobs(server):
    found = httpx.get(server.url + "/v1/jobs", params={"limit": 100}).json()["data"]
    return [job["id"] for job in found]


def refused(server, answer, *statuses):
    """The problem document of an answer, checked."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"].rsplit(":", 1)[1] in TITLES
    text = json.dumps(problem)
    for private in (str(server.folder), str(Path(__file__).parents[2]), "Traceback", "/tmp/"):
        assert private not in text
    return problem


def talk(server, data, wait=5.0):
    """Send bytes as they are; everything that comes back, to the end of one answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        said = b""
        try:
            connection.sendall(data)
            while not whole(said) and (piece := connection.recv(65536)):
                said += piece
        except (TimeoutError, ConnectionError):
            pass
    return said


def whole(said):
    """Whether an answer has all of the body that its head states."""
    top, _, body = said.partition(b"\r\n\r\n")
    stated = [line for line in top.lower().splitlines() if line.startswith(b"content-length:")]
    return bool(stated) and len(body) >= int(stated[0].split(b":")[1])


def head(*lines, method="POST", path="/v1/jobs"):
    given = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", "")
    return "\r\n".join(given).encode("latin-1")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: -5",),
        ("Content-Length: 1e3",),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked, identity"),
        ("Transfer-Encoding: gzip",),
        ("Bad Header: x",),
        ("X-Long: " + "a" * 400_000,),
        ("X-Null: a\0b",),
    ],
)
def test_broken_heads_are_refused_or_cut(server, lines):
    said = talk(server, head(*lines) + b"{}")
    assert not said or said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 501")), said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET /\r\n\r\n", b"\0" * 300, b"PRI * HTTP/2.0\r\n\r\n"],
)
def test_what_is_not_http_is_refused_or_cut(server, data):
    said = talk(server, data)
    assert not said or said.startswith(b"HTTP/1.1 4")


def test_a_stated_length_beyond_the_limit_is_refused_before_the_body(server):
    """The body never comes: an answer is one that did not wait for it."""
    lines = ("Content-Type: application/json", "Content-Length: 99999999999999")
    said = talk(server, head(*lines), wait=LIMIT)
    assert b" 413 " in said.split(b"\r\n", 1)[0]
    assert b"upload-too-large" in said


@pytest.mark.parametrize(
    "host", ["[::1]evil", "[::1]:80x", "127.0.0.1@evil", "127.0.0.1, evil", "localhost:1:2", "[::1"]
)
def test_a_host_that_only_begins_like_ours_is_refused(server, host):
    refused(server, httpx.get(server.url + "/healthz", headers={"Host": host}), 421)


def test_every_origin_of_a_request_must_be_known(server):
    lines = ("Origin: http://127.0.0.1", "Origin: http://evil", "Content-Length: 0")
    assert talk(server, head(*lines), wait=LIMIT).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("kind", ["", "text/plain", "image/png", "application/json, text/x"])
def test_other_content_types_are_415(server, kind):
    answer = httpx.post(server.url + "/v1/jobs", content=b"{}", headers={"Content-Type": kind})
    refused(server, answer, 415)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/jobs"), ("TRACE", "/v1/jobs"), ("BREW", "/"), ("PATCH", "/v1/jobs/job_x"),
     ("DELETE", "/v1/jobs"), ("POST", "/metrics")],
)  # fmt: skip
def test_other_methods_are_405_and_say_what_is_allowed(server, method, path):
    answer = httpx.request(method, server.url + path)
    refused(server, answer, 405)
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"scene": "procedural:demo", "quality": NaN}',
        b'{"scene": "procedural:demo", "quality": -Infinity}',
        b'{"scene": "procedural:demo", "quality": 1e999}',
        b'{"scene": "procedural:demo", "seed": 1' + b"0" * 10_000 + b"}",
        b'{"scene": "\\ud800"}',
        b'{"scene": "procedural:demo", "\\udfff": 1}',
        b'{"scene": "procedural:demo", "targets": "\\u0000orbit:3"}',
        b'{"a":' * 50_000,
        b"[" * 200_000,
        b'{"scene": "procedural:demo", "scene": "/etc/passwd"}',
        b'{"scene": "procedural:demo", "seed": 1, "seed": 1}',
        b'\xef\xbb\xbf{"scene": "procedural:demo"}',
        b"{" + b",".join(b'"%d": 1' % n for n in range(90_000)) + b', "7": 2}',
        b"\xff\xfe{\x00}\x00",
        b"\x80",
        b'{"__proto__": {"scene": 1}, "constructor": 2}',
        b'{"scene": {"$ref": "file:///etc/passwd"}}',
        b"{" + b" " * (1 << 20) + b"}",
    ],
)
def test_hostile_json_is_refused(server, body):
    answer = httpx.post(server.url + "/v1/jobs", content=body, headers=JSON)
    refused(server, answer, 400, 413, 422)


RGB, PALETTE = 2, 3


def png_of_stated_size(width, height, colours=RGB):
    """A small PNG whose header states a large picture, with all of its rows (they compress)."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)  # far from all: nobody may get so far as to miss them
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def archive(scene, **changed):
    """The scene folder as a zip with some members replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for path in sorted(scene.rglob("*.*")):
            name = path.relative_to(scene).as_posix()
            made.writestr(name, changed.pop(name, None) or path.read_bytes())
        for name, data in changed.items():
            made.writestr(name, data)
    return out.getvalue()


def upload(server, data):
    return httpx.post(server.url + "/v1/jobs", files={"scene": ("x.zip", data)})


def test_a_picture_of_169_megapixels_is_refused_from_its_header(server):
    before = peak_of(server.process.pid)
    answer = upload(
        server, archive(server.scene, **{"images/0.png": png_of_stated_size(13000, 13000)})
    )
    assert "169000000 pixels" in refused(server, answer, 422)["detail"]
    assert peak_of(server.process.pid) - before < 100e6


def peak_of(pid):
    """Largest resident memory of a process so far, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + bytes(40),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"BM" + bytes(60),
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0" + bytes(20),
        b"RIFF\x10\0\0\0WEBPVP8 " + bytes(8),
        png_of_stated_size(0, 7),
        png_of_stated_size(9, 7, colours=PALETTE),  # and then has none
        png_of_stated_size(2**31 - 1, 2**31 - 1),
        b"",
    ],
)
def test_what_only_claims_to_be_a_png_is_refused(server, data):
    answer = upload(server, archive(server.scene, **{"images/0.png": data or b" "}))
    problem = refused(server, answer, 422)
    assert "images/0.png" in problem["detail"]


def test_a_bomb_is_cut_while_it_unpacks(server):
    bomb = archive(server.scene, **{"images/zeros.png": bytes(40_000_000)})
    assert len(bomb) < 100_000
    before = peak_of(server.process.pid)
    refused(server, upload(server, bomb), 413)
    assert peak_of(server.process.pid) - before < 100e6


def test_an_archive_in_an_archive_is_not_opened(server):
    inner = archive(server.scene)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("scene.zip", inner)
    refused(server, upload(server, out.getvalue()), 422)


@pytest.mark.parametrize(
    "content",
    [
        b'{"frames": ' + b"[" * 100_000,
        b'{"fl_x": NaN, "frames": []}',
        b'{"fl_x": 1' + b"0" * 5000 + b', "frames": []}',
        b'{"frames": [{"file_path": "\\ud800.png", "transform_matrix": 3}]}',
        b'{"frames": [{"file_path": "../../../etc/passwd", "transform_matrix": []}]}',
        b'{"frames": 7}',
        b"\xff\xfe\x00",
    ],
)
def test_hostile_cameras_are_refused_without_a_path(server, content):
    answer = upload(server, archive(server.scene, **{"transforms.json": content}))
    refused(server, answer, 422)
