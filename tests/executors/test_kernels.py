import pytest
import torch
from torch.nn import functional as F

from sphinx_framework.errors import JobError
from sphinx_framework.executors import kernels
from sphinx_framework.executors.attention import attend
from sphinx_framework.executors.kernels import fast_kernels, fused_attention


def test_a_missing_kernel_is_an_error_that_says_what_the_formula_would_take(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("No available kernel. Aborting execution.")

    monkeypatch.setattr(F, "scaled_dot_product_attention", refuse)
    tokens = torch.zeros(2, 5000, 16)
    with pytest.raises(JobError, match=r"torch\.float32; .* take 0\.8 GB at once") as told:
        attend(tokens, tokens, tokens, 2)
    assert told.value.kind == "no-kernel"


def test_other_errors_of_attention_stay_as_they_are():
    with pytest.raises(RuntimeError, match="size"):
        fused_attention(torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 3, 5), torch.zeros(1, 1, 3, 5))


def flags():
    cuda = torch.backends.cuda
    return (
        cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        cuda.math_sdp_enabled(),
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
    )


@pytest.mark.parametrize("allowed", [True, False])
def test_a_cuda_step_has_no_math_attention_and_leaves_the_process_as_it_was(allowed):
    was = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    before = flags()
    with fast_kernels(torch.device("cuda")):
        assert flags() == (True, True, False, True, True)
    assert flags() == before
    with pytest.raises(KeyError), fast_kernels(torch.device("cuda")):
        raise KeyError
    assert flags() == before
    torch.backends.cuda.matmul.allow_tf32 = was


def test_a_cpu_step_changes_nothing(monkeypatch):
    monkeypatch.setattr(kernels, "sdpa_kernel", None)
    before = flags()
    with fast_kernels(torch.device("cpu")):
        assert flags() == before
