"""The client's key: sent as it is meant, refused before anything is sent, and never shown."""

import httpx
import pytest
from answering import client_of

from sphinx_framework.client import Client
from sphinx_framework.errors import ConfigError


def test_white_space_around_a_key_is_left_out():
    with Client("http://server", " SECRET123\n") as client:
        assert client.connection._http.headers["Authorization"] == "Bearer SECRET123"


@pytest.mark.parametrize("key", ["", " \n", "SECRET 123", "SECRET\n123", "SECRETé", "SECRET\0"])
def test_what_is_no_key_is_refused_without_showing_it(key):
    with pytest.raises(ConfigError, match="API key") as told:
        Client("http://server", key)
    assert "SECRET" not in str(told.value)


def test_what_http_cannot_carry_is_neither_tried_again_nor_shown(monkeypatch):
    wrong = httpx.LocalProtocolError("Illegal header value b'Bearer SECRET123\\n'")
    client, asked, slept = client_of([wrong] * 2, monkeypatch)
    with pytest.raises(ConfigError, match="cannot be sent") as told:
        client.job("job_" + "0" * 26)
    assert "SECRET" not in str(told.value)
    assert (len(asked), slept) == (1, [])
    with pytest.raises(ConfigError, match="cannot be sent"), client.connection.stream("/v1/x"):
        pass
    assert len(asked) == 2
