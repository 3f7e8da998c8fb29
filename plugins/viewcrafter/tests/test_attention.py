"""The fused attention of production against the formula that golden tests of networks use."""

import pytest
import torch
from goldens import defined_arithmetic, defined_attention
from torch import Tensor
from torch.nn import functional

from sphinx_framework_viewcrafter.transformers import attend


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_attention_to_the_context_equals_the_formula() -> None:
    query, context = random(2, 40, 32), random(2, 77, 64)
    fused = attend(query, context, 4)
    with defined_arithmetic():
        defined = attend(query, context, 4)
    torch.testing.assert_close(fused, defined, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 0.3},
        {"is_causal": True},
        {"attn_mask": random(12, 15)},
        {"attn_mask": random(12, 15) > -0.5},
    ],
    ids=["plain", "scale", "causal", "added", "masked"],
)
def test_the_formula_equals_the_fused_kernel(options: dict[str, object]) -> None:
    tokens = random(2, 3, 12, 8), random(2, 3, 15, 8), random(2, 3, 15, 6)
    fused = functional.scaled_dot_product_attention(*tokens, **options)
    torch.testing.assert_close(defined_attention(*tokens, **options), fused, rtol=1e-4, atol=1e-5)


def test_production_returns_after_the_golden_tests() -> None:
    before, threads = functional.scaled_dot_product_attention, torch.get_num_threads()
    with defined_arithmetic():
        assert functional.scaled_dot_product_attention is defined_attention
        assert torch.get_num_threads() == 1
    assert functional.scaled_dot_product_attention is before
    assert torch.get_num_threads() == threads
