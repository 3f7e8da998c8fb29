"""pycolmap, imported so that the host keeps its handling of SIGTERM, and its terminal.

Its logger takes that signal over to print a stack of C++, behind Python's back: the host's handler
is still registered and not called any more. What stands in the process itself is put back, which
works from any thread.
"""

import ctypes
import signal

_get, _set = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
_get.restype = _set.restype = ctypes.c_void_p
_get.argtypes, _set.argtypes = [ctypes.c_int], [ctypes.c_int, ctypes.c_void_p]

_before = _get(signal.SIGTERM)

import pycolmap  # noqa: E402

_set(signal.SIGTERM, _before)
# Progress and rejected pairs are not for a user's terminal.
pycolmap.logging.minloglevel = 3

__all__ = ["pycolmap"]
