"""Files from an address, by pooch, which the plugins that use addresses depend on."""

import logging
from pathlib import Path

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights.hub import PATH_HINT

SCHEMES = ("https://", "http://")
WHOLE_SUM = 64


def web_file(url: str, *, sha256: str, what: str, hint: str = PATH_HINT) -> Path:
    """Path of the file in the local cache, downloaded the first time.

    What lies at an address may change, so its sum must be known.

    Args:
        url: begins with one of :data:`SCHEMES`.
        sha256: of the file. A whole one is compared here; of first digits alone the caller does it.
        what: the file's name in messages.
        hint: how to do without the address, appended to every hint.

    Raises:
        WeightsError: the file cannot be had, or is another one.
    """
    if not sha256:
        raise WeightsError(
            f"{what}: nothing says which bytes are expected at {url}.",
            hint=f"Give the file's SHA-256 beside its address. {hint}",
        )
    try:
        import pooch
        from requests.exceptions import RequestException
    except ImportError as error:
        raise WeightsError(
            f"{what}: {url} needs the package pooch, which cannot be imported: {error}.",
            hint=f"pip install pooch. {hint}",
        ) from error
    pooch.get_logger().setLevel(logging.WARNING)
    known = f"sha256:{sha256.lower()}" if len(sha256) == WHOLE_SUM else None
    try:
        path: str = pooch.retrieve(
            url, known_hash=known, path=pooch.os_cache("sphinx-framework"), progressbar=False
        )
    except (RequestException, OSError, ValueError) as error:
        raise WeightsError(
            f"{what}: it cannot be fetched from {url} ({type(error).__name__}).", hint=hint
        ) from None
    return Path(path)
