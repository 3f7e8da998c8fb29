"""Energy of a block of work, through whatever meter this machine has; never zero for 'unknown'.

A meter is started, stopped, and then says how many joules it counted and what it counted, or why it
counted nothing. Meters count everything the device does, also for other programs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from sphinx_framework.errors import raised

NOTHING = "not measured: no energy meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """joules: ``None`` when not measured. note: what was counted, or why nothing was."""

    joules: float | None
    note: str


@dataclass(slots=True, kw_only=True)
class Reading:
    """What :func:`measure_energy` hands out; filled when its block ends."""

    joules: float | None = None
    note: str = NOTHING


class EnergyMeter(Protocol):
    """Counts the joules between ``start`` and ``stop``."""

    def start(self) -> None:
        """Begin to count."""
        ...

    def stop(self) -> Energy:
        """End, and say what was counted since ``start``."""
        ...


class NullMeter:
    """Measures nothing, and says why."""

    def __init__(self, reason: str = "no energy meter") -> None:
        self.reason = reason

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> Energy:
        """Not measured."""
        return Energy(joules=None, note=f"not measured: {self.reason}")


class SumOfMeters:
    """Several meters of different devices at once; not measured unless all of them are."""

    def __init__(self, meters: list[EnergyMeter]) -> None:
        self.meters = meters

    def start(self) -> None:
        """Begin all."""
        for meter in self.meters:
            meter.start()

    def stop(self) -> Energy:
        """End all and add up."""
        parts = [meter.stop() for meter in self.meters]
        known = [part.joules for part in parts if part.joules is not None]
        if len(known) < len(parts):
            missing = next(part.note for part in parts if part.joules is None)
            return Energy(joules=None, note=missing)
        return Energy(joules=sum(known), note="; ".join(part.note for part in parts))


@contextmanager
def measure_energy(meter: EnergyMeter | None) -> Iterator[Reading]:
    """Count the energy of a block; the reading is filled when the block ends.

    Work queued on a CUDA device is waited for at both ends. A meter that fails in mid-work costs
    the reading, never the work.
    """
    reading = Reading()
    if meter is None:
        yield reading
        return
    _synchronise()
    try:
        meter.start()
        failed = ""
    except Exception as error:
        failed = raised(error)
    yield reading
    _synchronise()
    if not failed:
        try:
            energy = meter.stop()
            reading.joules, reading.note = energy.joules, energy.note
        except Exception as error:
            failed = raised(error)
    if failed:
        reading.note = f"not measured: the meter failed ({failed})"


def _synchronise() -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
