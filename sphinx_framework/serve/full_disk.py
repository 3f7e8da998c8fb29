"""Whether an error says that a disk is full: of the server's process and of its workers."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)


def says_full(error: OSError) -> bool:
    """No space left, or none left for this user."""
    return error.errno in _FULL
