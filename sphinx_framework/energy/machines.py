"""Meters of real machines: zeus, NVML, RAPL. Their packages are imported when one is built."""

from pathlib import Path
from typing import Any

import torch

from sphinx_framework.energy.meter import Energy

POWERCAP = Path("/sys/class/powercap")
ZEUS_WINDOW = "sphinx-framework"


class UnavailableError(Exception):
    """This meter cannot work here; the message says why."""


class NvmlMeter:
    """Total-energy counter of one NVIDIA GPU (Volta and later), by NVML.

    The counter moves every few tens of milliseconds; a block in which it does not move is reported
    as not measured.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise UnavailableError(f"NVML counts GPUs, and the device is {device.type}")
        try:
            import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            raise UnavailableError("NVML needs the package nvidia-ml-py") from None
        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
            # The UUID, because CUDA_VISIBLE_DEVICES renumbers CUDA's devices but not NVML's.
            uuid = str(torch.cuda.get_device_properties(device).uuid)
            name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(name)
            self._millijoules()
        except Exception as error:
            raise UnavailableError(f"NVML has no energy counter for {device} ({error})") from None
        self._before = 0

    def start(self) -> None:
        """Read the counter."""
        self._before = self._millijoules()

    def stop(self) -> Energy:
        """Difference of the counter."""
        counted = self._millijoules() - self._before
        if counted <= 0:
            return Energy(joules=None, note="not measured: too short for NVML's energy counter")
        return Energy(joules=counted / 1000, note="GPU (NVML)")

    def _millijoules(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))


class RaplMeter:
    """Energy counters of CPU packages and memory under ``/sys/class/powercap``.

    ``psys`` domains hold the others and are left out. Counters wrap; one wrap per block is undone.
    """

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._domains: list[tuple[Path, int]] = []
        packages = []
        for zone in sorted(folder.glob("intel-rapl:*")):
            try:
                name = (zone / "name").read_text().strip()
                if not (name.startswith("package") or name == "dram"):
                    continue
                limit = int((zone / "max_energy_range_uj").read_text())
                (zone / "energy_uj").read_text()
            except PermissionError:
                raise UnavailableError(
                    f"{zone / 'energy_uj'} cannot be read (it needs root or a changed permission)"
                ) from None
            except (OSError, ValueError):
                continue
            self._domains.append((zone / "energy_uj", limit))
            packages.append(name)
        if not any(name.startswith("package") for name in packages):
            raise UnavailableError(f"there is no CPU energy counter under {folder}")
        self.note = f"{' and '.join(sorted({_domain(name) for name in packages}))} (RAPL)"
        self._before: list[int] = []

    def start(self) -> None:
        """Read all counters."""
        self._before = self._microjoules()

    def stop(self) -> Energy:
        """Sum of the differences."""
        counted = 0
        for before, after, (_, limit) in zip(
            self._before, self._microjoules(), self._domains, strict=True
        ):
            counted += after - before if after >= before else after - before + limit
        if counted <= 0:
            return Energy(joules=None, note="not measured: too short for the RAPL counters")
        return Energy(joules=counted / 1e6, note=self.note)

    def _microjoules(self) -> list[int]:
        return [int(path.read_text()) for path, _ in self._domains]


class ZeusMeter:
    """The ``zeus`` package: GPUs, and CPUs where RAPL is readable or its daemon runs.

    ``Measurement.total_energy`` counts GPUs only and is 0 where nothing can be measured, so the
    parts are added here and no part at all means not measured.
    """

    def __init__(self, device: torch.device) -> None:
        try:
            from zeus.monitor import (  # type: ignore[import-not-found, unused-ignore]
                ZeusMonitor,
            )
        except ImportError:
            raise UnavailableError("zeus is not installed (pip install zeus)") from None
        self._labels = ("gpu", "cpu", "dram") if device.type == "cuda" else ("cpu", "dram")
        indices = [device.index or 0] if device.type == "cuda" else None
        try:
            self._monitor: Any = ZeusMonitor(gpu_indices=indices)
        except Exception as error:
            raise UnavailableError(f"zeus cannot measure here ({error})") from None

    def start(self) -> None:
        """Open a window, dropping one that an interrupted block left."""
        self._monitor.begin_window(ZEUS_WINDOW, restart=True)

    def stop(self) -> Energy:
        """Close the window and add its parts."""
        return zeus_energy(self._monitor.end_window(ZEUS_WINDOW), self._labels)


def zeus_energy(measurement: Any, labels: tuple[str, ...] = ("gpu", "cpu", "dram")) -> Energy:
    """Add the parts of a zeus measurement that exist (dictionaries of joules by device)."""
    counted = {label: getattr(measurement, f"{label}_energy", None) for label in labels}
    parts = {label.upper(): sum(values.values()) for label, values in counted.items() if values}
    joules = float(sum(parts.values()))
    if joules <= 0:
        return Energy(joules=None, note="not measured: zeus found nothing to count")
    return Energy(joules=joules, note=f"{', '.join(parts)} (zeus)")


def _domain(name: str) -> str:
    return "CPU" if name.startswith("package") else "memory"
