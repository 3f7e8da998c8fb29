import pytest
import torch

from sphinx_framework_seva.config import SevaConfig
from sphinx_framework_seva.precision import chosen_channels_last, chosen_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_by_default_a_gpu_runs_in_half_and_channels_last_and_a_cpu_as_ever() -> None:
    config = SevaConfig()
    assert (chosen_dtype(config, CUDA), chosen_channels_last(config, CUDA)) == (
        torch.bfloat16,
        True,
    )
    assert (chosen_dtype(config, CPU), chosen_channels_last(config, CPU)) == (torch.float32, False)


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_what_is_asked_for_is_done_on_any_device(device: torch.device) -> None:
    config = SevaConfig(dtype="float16", channels_last=False)
    assert chosen_dtype(config, device) is torch.float16
    assert not chosen_channels_last(config, device)
