"""Energy: counted by a meter that works, else not measured; never zero."""

from types import SimpleNamespace

import pytest
import torch

from sphinx_framework.energy.choose import NAMES, choose_meter
from sphinx_framework.energy.machines import (
    NvmlMeter,
    RaplMeter,
    UnavailableError,
    ZeusMeter,
    zeus_energy,
)
from sphinx_framework.energy.meter import Energy, NullMeter, SumOfMeters, measure_energy
from sphinx_framework.errors import ConfigError

CPU = torch.device("cpu")


class Counter:
    """A meter whose joules a test decides."""

    def __init__(self, joules, note="a counter", fails=""):
        self.joules, self.note, self.fails = joules, note, fails

    def start(self):
        if self.fails == "start":
            raise OSError("no counter")

    def stop(self):
        if self.fails == "stop":
            raise OSError("counter gone")
        return Energy(joules=self.joules, note=self.note)


def domain(folder, zone, name, microjoules, limit=1000):
    (folder / zone).mkdir()
    (folder / zone / "name").write_text(f"{name}\n")
    (folder / zone / "energy_uj").write_text(f"{microjoules}\n")
    (folder / zone / "max_energy_range_uj").write_text(f"{limit}\n")


@pytest.fixture
def powercap(tmp_path):
    domain(tmp_path, "intel-rapl:0", "package-0", 100)
    domain(tmp_path, "intel-rapl:0:0", "core", 60)
    domain(tmp_path, "intel-rapl:0:1", "dram", 10)
    domain(tmp_path, "intel-rapl:1", "psys", 500)
    return tmp_path


def test_a_block_reads_what_its_meter_counted():
    with measure_energy(Counter(12.5)) as reading:
        assert reading.joules is None
    assert reading.joules == 12.5
    assert reading.note == "a counter"


def test_without_a_meter_nothing_is_measured():
    with measure_energy(None) as reading:
        pass
    assert reading.joules is None
    assert reading.note.startswith("not measured")


@pytest.mark.parametrize("fails", ["start", "stop"])
def test_a_meter_that_fails_costs_the_reading_and_not_the_work(fails):
    done = []
    with measure_energy(Counter(1.0, fails=fails)) as reading:
        done.append(True)
    assert done
    assert reading.joules is None
    assert "the meter failed (OSError" in reading.note


def test_an_error_of_the_work_is_not_swallowed():
    with pytest.raises(ValueError, match="work"), measure_energy(Counter(1.0)):
        raise ValueError("work")


def test_packages_and_memory_count_but_not_what_they_contain(powercap):
    meter = RaplMeter(powercap)
    meter.start()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("300")
    (powercap / "intel-rapl:0:0" / "energy_uj").write_text("250")
    (powercap / "intel-rapl:0:1" / "energy_uj").write_text("15")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("900")
    assert meter.stop() == Energy(joules=205e-6, note="CPU and memory (RAPL)")


def test_a_counter_that_wrapped_once_is_unwrapped(powercap):
    meter = RaplMeter(powercap)
    meter.start()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("40")
    assert meter.stop().joules == pytest.approx(940e-6)


def test_counters_that_did_not_move_measured_nothing(powercap):
    meter = RaplMeter(powercap)
    meter.start()
    assert meter.stop().joules is None


def test_a_machine_without_counters_has_no_cpu_meter(tmp_path):
    with pytest.raises(UnavailableError, match="no CPU energy counter"):
        RaplMeter(tmp_path)


def test_zeus_parts_are_added_beyond_its_gpu_total():
    measured = SimpleNamespace(
        gpu_energy={0: 30.0}, cpu_energy={0: 8.0}, dram_energy={0: 2.0}, total_energy=30.0
    )
    assert zeus_energy(measured) == Energy(joules=40.0, note="GPU, CPU, DRAM (zeus)")
    assert zeus_energy(measured, ("cpu", "dram")).joules == 10.0


def test_zeus_without_any_part_measured_nothing():
    measured = SimpleNamespace(gpu_energy={}, cpu_energy=None, dram_energy=None, total_energy=0.0)
    assert zeus_energy(measured).joules is None


def test_a_sum_is_measured_only_when_all_of_it_is():
    whole = SumOfMeters([Counter(1.0, "GPU"), Counter(2.0, "CPU")])
    whole.start()
    assert whole.stop() == Energy(joules=3.0, note="GPU; CPU")
    part = SumOfMeters([Counter(1.0), Counter(None, "not measured: why")])
    part.start()
    assert part.stop() == Energy(joules=None, note="not measured: why")


@pytest.mark.parametrize("name", NAMES)
def test_every_named_meter_can_be_chosen_on_any_machine(name):
    meter = choose_meter(name, CPU)
    with measure_energy(meter) as reading:
        sum(range(1000))
    assert reading.joules is None or reading.joules > 0
    assert reading.note


def test_a_meter_that_cannot_work_says_why():
    assert isinstance(choose_meter("nvml", CPU), NullMeter)
    with measure_energy(choose_meter("nvml", CPU)) as reading:
        pass
    assert reading.note == "not measured: NVML counts GPUs, and the device is cpu"


def test_unknown_meters_are_refused():
    with pytest.raises(ConfigError, match="volts"):
        choose_meter("volts", CPU)


def test_nvml_needs_a_gpu():
    with pytest.raises(UnavailableError, match="counts GPUs"):
        NvmlMeter(CPU)


ZEUS = """
class ZeusMonitor:
    def __init__(self, gpu_indices=None):
        self.windows = []

    def begin_window(self, key, restart=False):
        self.windows.append(key)

    def end_window(self, key):
        from types import SimpleNamespace
        self.windows.remove(key)
        return SimpleNamespace(gpu_energy={0: 5.0}, cpu_energy={0: 7.0}, dram_energy=None)
"""


def test_on_the_cpu_zeus_counts_no_gpu(tmp_path, monkeypatch):
    (tmp_path / "zeus").mkdir()
    (tmp_path / "zeus" / "__init__.py").write_text("")
    (tmp_path / "zeus" / "monitor.py").write_text(ZEUS)
    monkeypatch.syspath_prepend(tmp_path)
    meter = ZeusMeter(CPU)
    meter.start()
    assert meter.stop() == Energy(joules=7.0, note="CPU (zeus)")
    for module in ("zeus", "zeus.monitor"):
        monkeypatch.delitem(__import__("sys").modules, module)
