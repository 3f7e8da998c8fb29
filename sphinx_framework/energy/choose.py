"""The energy meter that a pipeline asks for, or the best one that works on this machine."""

import torch

from sphinx_framework.energy.machines import NvmlMeter, RaplMeter, UnavailableError, ZeusMeter
from sphinx_framework.energy.meter import EnergyMeter, NullMeter, SumOfMeters
from sphinx_framework.errors import ConfigError

NAMES = ("auto", "zeus", "nvml", "rapl", "none")


def check_meter(name: str) -> None:
    """Raise :class:`ConfigError` for an unknown name."""
    if name not in NAMES:
        raise ConfigError(f"--energy {name}: unknown.", hint=f"Meters: {', '.join(NAMES)}.")


def choose_meter(name: str, device: torch.device) -> EnergyMeter:
    """Build a meter by name; ``auto`` takes what counts the device that does the work.

    On CUDA: NVML, and RAPL beside it where readable. On the CPU: RAPL. A meter that is named but
    cannot work becomes a :class:`NullMeter` with its reason.
    Raises :class:`ConfigError` for an unknown name.
    """
    check_meter(name)
    if name == "none":
        return NullMeter("no energy meter was asked for")
    try:
        if name == "zeus":
            return ZeusMeter(device)
        if name == "nvml":
            return NvmlMeter(device)
        if name == "rapl":
            return RaplMeter()
        if device.type != "cuda":
            return RaplMeter()
        try:
            return SumOfMeters([NvmlMeter(device), RaplMeter()])
        except UnavailableError:
            return NvmlMeter(device)
    except UnavailableError as reason:
        return NullMeter(str(reason))
