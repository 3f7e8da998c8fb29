"""A client whose server is a list of answers."""

import httpx

from sphinx_framework.client import Client
from sphinx_framework.client import connection as connections


def client_of(answers, monkeypatch):
    """A client whose server gives these answers one after the other, and what it was asked."""
    asked, left = [], list(answers)

    def answer(request):
        request.read()
        asked.append(request)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    slept = []
    monkeypatch.setattr(connections.time, "sleep", slept.append)
    client = Client("http://server")
    client.connection._http = httpx.Client(
        base_url="http://server", transport=httpx.MockTransport(answer)
    )
    return client, asked, slept
