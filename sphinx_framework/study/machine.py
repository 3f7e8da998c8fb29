"""What a study ran on: the reader of a time must know the machine."""

import os
import platform
from pathlib import Path

import torch

from sphinx_framework.engine.report import device_name
from sphinx_framework.version import __version__

CPU_INFO = Path("/proc/cpuinfo")


def machine_name(device: torch.device) -> str:
    """Device, processor and number of cores."""
    return f"{device_name(device)}, {processor()}, {os.cpu_count()} cores"


def processor() -> str:
    """Model name of the processor, as the system tells it."""
    try:
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def software() -> str:
    """Versions that times and images depend on."""
    return f"sphinx-framework {__version__}, torch {torch.__version__}, {platform.platform()}"
