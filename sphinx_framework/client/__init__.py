"""A client of ``sphinx-nvs serve`` in plain Python: no torch, httpx only.

::

    from sphinx_framework.client import Client

    job = Client("http://127.0.0.1:8000").submit("path/to/scene", quality=0.95)
    for event in job.events():
        print(event.name, event.data)
    job.download("out")
"""

try:
    import httpx as _httpx  # noqa: F401 - the only package that this one needs beyond the core
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"sphinx_framework.client needs {error.name!r}, which is missing. Install the extra: "
        'pip install "sphinx-framework[client]".',
        name=error.name,
    ) from None

from sphinx_framework.client.connection import RefusedError, UnreachableError
from sphinx_framework.client.events import Event
from sphinx_framework.client.jobs import Client, Job

__all__ = ["Client", "Event", "Job", "RefusedError", "UnreachableError"]
