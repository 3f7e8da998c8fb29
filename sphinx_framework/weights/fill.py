"""Into a network: a checkpoint strictly, or not at all; or seeded noise for tests and timing."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError

SHOWN = 5
CPU = torch.device("cpu")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
OTHER_SIZES = "Is it the checkpoint of this model, with the sizes that the options say?"


def load_strictly(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    where: str,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
    hint: str = OTHER_SIZES,
) -> None:
    """Put a checkpoint into a network, which may be on the meta device; then it is frozen.

    Floating-point tensors take the dtype. where: begins the message: the model and its file.

    Raises:
        WeightsError: keys or shapes disagree; see :func:`require_fit`.
    """
    require_fit(network.state_dict(), tensors, where, hint)
    cast = {
        key: value.to(device, dtype if value.is_floating_point() else value.dtype)
        for key, value in tensors.items()
    }
    network.load_state_dict(cast, assign=True)
    frozen(network)


@torch.no_grad()
def randomise(
    network: nn.Module,
    seed: int,
    *,
    gain: float = 1.0,
    bias: float = 0.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
) -> None:
    """Seeded weights that keep activations in range; the network may be on the meta device.

    Matrices and 1-d embeddings are normal with deviation ``gain / sqrt(fan in)``, biases with
    deviation ``bias``; all else (the scales of norms) is 1. Equal seeds give equal weights on one
    kind of device.
    """
    if any(parameter.is_meta for parameter in network.parameters()):
        network.to_empty(device=device)
    else:
        network.to(device)  # buffers keep what they were built with
    generator = torch.Generator(device).manual_seed(seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, gain * parameter[0].numel() ** -0.5, generator=generator)
        elif name.endswith("embedding"):
            parameter.normal_(0, gain * parameter.numel() ** -0.5, generator=generator)
        elif not name.endswith("bias"):
            parameter.fill_(1.0)
        elif bias:
            parameter.normal_(0, bias, generator=generator)
        else:
            parameter.fill_(0.0)
    nn.Module.to(network, dtype)  # the plain method: diffusers' own logs a warning
    frozen(network)


def frozen(network: nn.Module) -> None:
    """Inference only: evaluation mode, no gradients."""
    network.eval().requires_grad_(False)


def require_fit(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: str, hint: str
) -> None:
    """Keys and shapes of a checkpoint must be exactly those of the network.

    Args:
        expected: the network's ``state_dict`` (its tensors may be on the meta device).
        found: the checkpoint's tensors.
        where: begins the message: the model and its file.
        hint: what to do about it.

    Raises:
        WeightsError: with counts and the first five keys of each kind of disagreement.
    """
    shapes = [
        f"{key} {list(found[key].shape)} instead of {list(expected[key].shape)}"
        for key in sorted(expected.keys() & found.keys())
        if found[key].shape != expected[key].shape
    ]
    problems = [
        _counted(what, keys)
        for what, keys in (
            ("missing", sorted(expected.keys() - found.keys())),
            ("unexpected", sorted(found.keys() - expected.keys())),
            ("mis-shaped", shapes),
        )
        if keys
    ]
    if problems:
        raise WeightsError(
            f"{where} does not fit the network: {'; '.join(problems)} "
            f"(of {len(expected)} expected).",
            hint=hint,
        )


def _counted(what: str, keys: Iterable[str]) -> str:
    names = list(keys)
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:SHOWN])}{more})"
