"""The viewer answers for its own pages alone."""

import http.client
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from sphinx_framework.view.contained import LOOPBACK, refused

pytest.importorskip("viser")

UP = "/" + "../" * 14
FOREIGN = [UP + "etc/hostname", "//etc/hostname", "/etc/hostname", "/assets", "/hdri/", "/.", "x"]


@pytest.fixture(scope="module")
def port(result_folder):
    running = subprocess.Popen(
        [sys.executable, "-m", "sphinx_framework", "view", str(result_folder), "--port", "18473"],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = running.stdout.readline()
    yield int(re.search(r"http://127\.0\.0\.1:(\d+)", told)[1])
    running.terminate()  # a Ctrl-C may be ignored where tests run in the background
    running.communicate(timeout=60)


def asked(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_page_is_served(port):
    status, body = asked(port, "/?quality=high")
    assert status == 200
    assert b"<html" in body


@pytest.mark.parametrize("path", FOREIGN)
def test_files_of_the_machine_are_not(port, path):
    assert asked(port, path)[0] in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)


def test_neither_other_names_nor_pages_of_elsewhere_are_answered(port):
    assert asked(port, "/", Host="evil.example")[0] == HTTPStatus.FORBIDDEN
    assert asked(port, "/", Origin="http://evil.example")[0] == HTTPStatus.FORBIDDEN
    assert asked(port, "/", Origin=f"http://127.0.0.1:{port}")[0] == HTTPStatus.OK


def test_on_another_interface_any_name_is_answered_and_no_file_outside(tmp_path):
    (tmp_path / "page.js").write_text("1")
    assert refused("/page.js", {"Host": "lab.example:8080"}, tmp_path, None) is None
    assert refused("/page.js", {"Host": "lab.example"}, tmp_path, LOOPBACK) is HTTPStatus.FORBIDDEN
    outside = f"/../{Path(tmp_path).name}/../secret"
    assert refused(outside, {"Host": "lab.example"}, tmp_path, None) is HTTPStatus.NOT_FOUND
