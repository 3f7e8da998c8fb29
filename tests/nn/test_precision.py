"""Which arithmetic networks run in."""

import pytest
import torch

from sphinx_framework.nn import precision
from sphinx_framework.nn.precision import cast_to, network_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("native", [True, False])
def test_what_is_asked_for_depends_on_the_device(monkeypatch, native):
    monkeypatch.setattr(precision, "computes_in", lambda name: native)
    assert network_dtype("auto", CPU) == torch.float32
    assert network_dtype("native", CPU) == (torch.bfloat16 if native else torch.float32)
    assert network_dtype("auto", CUDA) == network_dtype("native", CUDA) == torch.bfloat16
    assert network_dtype("auto", CUDA, torch.float16) == torch.float16
    for name in ("float32", "bfloat16", "float16"):
        assert network_dtype(name, CPU) == network_dtype(name, CUDA) == getattr(torch, name)


def test_products_are_cast_and_nothing_else():
    weight = torch.ones(3, 3)
    with cast_to(torch.bfloat16, CPU):
        assert (weight @ weight).dtype == torch.bfloat16
    with cast_to(torch.float32, CPU):
        assert (weight @ weight).dtype == torch.float32
