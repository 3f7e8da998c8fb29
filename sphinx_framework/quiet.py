"""Libraries' warnings kept from the user, whichever threads want that at once.

Python's warning filters belong to the process. Threads that each save and restore them
(``warnings.catch_warnings``) may leave them silent for good, or take the silence of another away.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sphinx_framework.shared_block import SharedBlock


@contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_QUIET = SharedBlock(_silence)


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """No warning is shown, in any thread, until the last one inside has left."""
    with _QUIET.inside():
        yield
