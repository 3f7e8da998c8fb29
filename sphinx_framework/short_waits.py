"""OpenMP's threads told to sleep soon while they wait for each other.

By default libgomp's threads spin for milliseconds at the end of every parallel operator. On a
machine with nothing else to do that saves waking them. With other work on its cores the waiting
thread burns the time that the awaited one needs, and a denoising step of a small network, a
thousand operators, takes ten times as long.
"""

import os
import sys

# A fraction of a millisecond; by default 300000 turns.
TURNS = "4000"
# What whoever has set one of them wants is left as it is.
SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def wait_shortly() -> bool:
    """Set it up for this process and its children, before torch is imported; whether it was.

    Nothing is set where ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY`` is, or where torch is there
    already: its threads are told when it is loaded. The command line and the server's workers call
    this; in a program of your own, call it yourself.
    """
    if "torch" in sys.modules or any(name in os.environ for name in SETTINGS):
        return False
    os.environ[SETTINGS[0]] = TURNS
    return True
