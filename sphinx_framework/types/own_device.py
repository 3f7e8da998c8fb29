"""What is made without saying where is made on the CPU, whatever device a host has as its default.

Photos and cameras lie there until a request copies them to its device.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def on_the_cpu() -> Iterator[None]:
    """For this thread and block; nothing is changed where the CPU is the default anyway."""
    if torch.get_default_device().type == "cpu":
        yield
        return
    with torch.device("cpu"):
        yield
