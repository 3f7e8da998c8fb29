"""The emulated device fails on the mistakes that it is there to find."""

from collections.abc import Iterator

import pytest
import torch

from tests.support.emulated_device import EmulatedRun


@pytest.fixture
def run() -> Iterator[EmulatedRun]:
    with EmulatedRun() as entered:
        entered.step = "planted"
        yield entered


def test_a_mix_of_devices_raises_as_on_cuda(run: EmulatedRun) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.zeros(2, 2, device=run.device) - torch.eye(2)


def test_a_number_of_the_cpu_may_be_mixed_in(run: EmulatedRun) -> None:
    assert (torch.zeros(2, device=run.device) + torch.ones(())).tolist() == [1, 1]


def test_a_generator_of_the_cpu_is_refused_on_the_device(run: EmulatedRun) -> None:
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(2, device=run.device, generator=torch.Generator())
    torch.randn(2, device=run.device, generator=torch.Generator(run.device))


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: float(x.sum()),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: bool((x > 0).all()),
        lambda x: torch.get_device_module(x.device).synchronize(),
        lambda x: torch.get_device_module(x.device).Event().synchronize(),
    ],
)
def test_a_wait_is_counted(run: EmulatedRun, wait) -> None:
    x = torch.ones(3, device=run.device)
    wait(x)
    assert run.total("wait") == 1
    assert "test_planted_mistakes" in run.places("wait")[0]


@pytest.mark.parametrize(
    "copy",
    [
        lambda x: x[[0, 2]],
        lambda x: torch.tensor([1.0], device=x.device),
        lambda x: x.new_tensor([1.0]),
        lambda x: torch.ones(3).to(x.device),
    ],
)
def test_a_host_copy_is_counted(run: EmulatedRun, copy) -> None:
    copy(torch.ones(3, device=run.device))
    assert run.total("host copy") == 1


def test_an_index_of_the_cpu_is_counted(run: EmulatedRun) -> None:
    torch.ones(3, device=run.device)[torch.arange(2)]
    assert run.total("host index") == 1


def test_double_precision_is_counted(run: EmulatedRun) -> None:
    x = torch.ones(3, device=run.device)
    (x.double() * 2).float()
    assert run.total("float64") >= 2


def test_ordinary_work_counts_nothing(run: EmulatedRun) -> None:
    x = torch.ones(3, 4, device=run.device)
    x[torch.zeros(1, dtype=torch.long, device=run.device)] = 2
    (x @ x.T).softmax(-1).mul_(2)
    assert sum(run.counts.values()) == 0
