"""What a host may hand over instead of float32 tensors: numpy, lists, bytes, 3x4 poses, one lens.

Everything here returns tensors or raises :class:`SceneError` with one sentence. A tensor
that is as it should be is taken as it is, without a copy.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.types.origin import NO_MOVE, origin_of

# numpy's dtypes are not told apart here: every number that becomes a float32 is one.
Numbers: TypeAlias = Tensor | NDArray[np.generic] | Sequence[Any]
_FINER = (torch.float64, torch.int64, torch.int32)  # hold numbers that float32 does not


def as_images(value: Numbers, what: str) -> Float[Tensor, "V 3 H W"]:
    """Photos as ``[V, 3, H, W]`` in [0, 1].

    Taken: float32 or float64 in [0, 1], uint8 in 0..255; ``[V, H, W, 3]`` too; a list of images.
    """
    images = _tensor(value, what)
    if images.dtype == torch.uint8:
        images = images.float() / 255
    if not images.is_floating_point():
        raise SceneError(f"{what} are {_name(images)}: give uint8 in 0..255 or floats in [0, 1].")
    if images.ndim == 3:
        images = images[None]
    if images.ndim == 4 and images.shape[1] != 3 and images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2).contiguous()
    if images.ndim != 4 or images.shape[1] != 3:
        raise SceneError(
            f"{what} must be [N, 3, H, W] or [N, H, W, 3], got {tuple(images.shape)}.",
            hint="Drop an alpha channel; repeat a grey one three times.",
        )
    # Networks add in another order where channels lie last in memory.
    return images.to(torch.float32).contiguous()


def as_poses(value: Numbers) -> Float[Tensor, "V 4 4"]:
    """Camera-to-world matrices; ``[V, 3, 4]`` and a single matrix too.

    float64 where they were, and stand where float32 could not tell them: see :mod:`.origin`.
    """
    given = _real(value, "world_from_camera")
    poses = _floats(value, given)
    if poses.ndim == 2:
        poses = poses[None]
    if poses.ndim == 3 and poses.shape[1:] == (3, 4):
        last = poses.new_tensor([0, 0, 0, 1]).expand(len(poses), 1, 4)
        poses = torch.cat([poses, last], dim=1)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise SceneError(
            f"world_from_camera must be [V, 4, 4] or [V, 3, 4], got {tuple(poses.shape)}."
        )
    if poses.dtype == torch.float32 and given.dtype in _FINER and not given.is_meta:
        exact = given.double().reshape(len(poses), -1, 4)
        if origin_of(list(exact)) != NO_MOVE:
            return torch.cat([exact[:, :3], poses[:, 3:].double()], dim=1)
    return poses


def as_intrinsics(value: Numbers, count: int) -> Float[Tensor, "V 3 3"]:
    """Camera matrices; a single one, or a batch of one, is that of all ``count`` cameras."""
    lenses = _numbers(value, "intrinsics")
    if lenses.ndim == 2:
        lenses = lenses[None]
    if lenses.ndim != 3 or lenses.shape[1:] != (3, 3):
        raise SceneError(f"intrinsics must be [V, 3, 3] or [3, 3], got {tuple(lenses.shape)}.")
    if len(lenses) not in (1, count):
        raise SceneError(
            f"there are {len(lenses)} intrinsics for {count} poses.",
            hint="Give one for each camera, or one for all.",
        )
    return lenses if len(lenses) == count else lenses.repeat(count, 1, 1)


def as_size(value: Sequence[int]) -> tuple[int, int]:
    """``(height, width)`` in whole pixels."""
    try:
        height, width = value
        sides = (int(height), int(width))
    except (TypeError, ValueError):
        sides = (0, 0)
    if min(sides) < 1 or sides != tuple(value):
        raise SceneError(f"image_size must be (height, width) in whole pixels, got {value!r}.")
    return sides


def as_order(
    value: Sequence[float] | NDArray[np.generic] | Tensor | None,
) -> tuple[float, ...] | None:
    """Positions along the capture."""
    if value is None:
        return None
    positions = tuple(_numbers(value, "order").flatten().tolist())
    if not all(map(math.isfinite, positions)):
        raise SceneError(
            f"order must hold finite numbers, got {list(positions)[:8]}.",
            hint="Give one position per input and target, inputs first, or None.",
        )
    return positions


def as_number(value: object, what: str) -> float | None:
    """One number, numpy's and a tensor of one included, or ``None``."""
    if value is None:
        return None
    number: float | None = None
    if not isinstance(value, str | bytes | bool | np.bool_):
        with suppress(TypeError, ValueError, RuntimeError):
            number = float(value)  # type: ignore[arg-type]
    if number is None:
        raise SceneError(f"{what} must be a number or None, got {value!r}.")
    return number


def as_point(value: Numbers, what: str) -> tuple[float, float, float]:
    """Three numbers, in double precision: an origin is what single precision could not tell."""
    numbers = _real(value, what).double().flatten().tolist()
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise SceneError(f"{what} must be three finite numbers, got {value!r}.")
    x, y, z = numbers
    return (x, y, z)


def as_sentences(value: object, what: str) -> tuple[str, ...]:
    """A list of sentences; a single text is none."""
    sentences = tuple(value) if isinstance(value, list | tuple) else (None,)
    if not all(isinstance(sentence, str) for sentence in sentences):
        raise SceneError(f"{what} must be a list of sentences, got {value!r}.")
    return sentences


def _real(value: Numbers, what: str) -> Tensor:
    numbers = _tensor(value, what)
    if numbers.is_complex() or numbers.dtype == torch.bool:
        raise SceneError(f"{what} holds {_name(numbers)}: give real numbers.")
    return numbers


def _numbers(value: Numbers, what: str) -> Float[Tensor, "..."]:
    return _floats(value, _real(value, what))


def _floats(value: Numbers, numbers: Tensor) -> Float[Tensor, "..."]:
    # A tensor of doubles is somebody's choice, as in an optimisation of poses; a scene has floats.
    double = isinstance(value, Tensor) and value.dtype == torch.float64
    return numbers if double else numbers.to(torch.float32)


def _tensor(value: object, what: str) -> Tensor:
    made = _made(value, what)
    if made.layout != torch.strided:
        raise SceneError(
            f"{what} must be dense, got a tensor of layout {str(made.layout)[6:]}.",
            hint="Hand over its to_dense().",
        )
    return made


def _made(value: object, what: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        if isinstance(value, np.ndarray):
            # A copy: a view of a read-only or negatively strided array makes no tensor.
            return torch.from_numpy(np.array(value, order="C"))
        if isinstance(value, list | tuple) and value:
            first = value[0]
            if isinstance(first, Tensor):
                return torch.stack(tuple(value))
            return torch.from_numpy(np.array(value))
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise SceneError(f"{what} make no tensor of numbers: {reason}") from None
    raise SceneError(
        f"{what} must be a tensor, a numpy array or a list of them, got {type(value).__name__}."
    )


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
