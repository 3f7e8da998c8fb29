"""glibc's allocator told to keep what is freed: a denoising step asks for the same blocks again.

By default glibc maps every large block anew from the kernel, which clears it page by page at its
first use, and gives it back when it is freed. Here large blocks come from its heap and stay there.
The price: memory that is free inside a process is not given back to the machine before its end.
"""

import os
import platform

# <malloc.h>
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4
LARGEST = 2**31 - 1  # mallopt takes an int
SWITCH = "SPHINX_NVS_MALLOC"


def keep_freed_memory() -> bool:
    """Set it up for this whole process; before its work, once. Returns whether anything was set.

    Nothing is set outside of glibc, and where ``SPHINX_NVS_MALLOC=system`` asks for that. The
    command line and the server's workers call this; in a program of your own, call it yourself.
    """
    if os.environ.get(SWITCH, "") == "system" or platform.libc_ver()[0] != "glibc":
        return False
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, LARGEST))
