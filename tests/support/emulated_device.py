"""CPU tensors that say they are on a device: device mistakes are found without a device.

The private-use backend of PyTorch is renamed to ``emulated`` and gets tensors that hold a CPU
tensor inside. Operators run on the CPU, under the rules of CUDA:

- tensors of both sides in one operator raise, as CUDA does (a CPU number, or a CPU index, may pass:
  CUDA copies it, and so it is counted);
- what would make the host wait (``.item()``, ``.cpu()``, a boolean index, ``nonzero``, a
  synchronisation of the device or of an event), what would
  copy from the host (``torch.tensor(..., device=...)``, a list as an index, ``.to(device)``), and
  operators in float64 are counted, with the line of this project that asked for them.

What it cannot see: time, memory, kernels that CUDA lacks, and values that differ on a GPU.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from tests.support.emulated_events import EmulatedEvent, asked_at

NAME = "emulated"
WAITS = {
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim",
    "unique_consecutive", "equal", "is_nonzero", "bincount", "_linalg_check_errors", "_linalg_eigh",
    "linalg_eigh",
}  # fmt: skip
INDEXED = {"index", "index_put_", "index_put", "_index_put_impl_"}


class _Backend(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def is_autocast_enabled(self) -> bool:
        return False

    @staticmethod
    def Event(enable_timing: bool = False) -> EmulatedEvent:  # noqa: N802
        return EmulatedEvent(lambda: _count("wait"))

    @staticmethod
    def synchronize(device: Any = None) -> None:
        _count("wait")

    def _is_in_bad_fork(self) -> bool:
        return False


def emulated_device() -> torch.device:
    """The device; registers the backend the first time (a process can have one such backend)."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        backend_registration._setup_privateuseone_for_python_backend(
            rename=NAME, backend_module=_Backend()
        )
    return torch.device(NAME, 0)


def on_device(device: Any) -> bool:
    """Whether a ``device=`` argument names the emulated device."""
    return device is not None and torch.device(device).type == NAME


class EmulatedTensor(Tensor):
    """Looks like a tensor of the device; ``inner`` holds the values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "EmulatedTensor":
        wrapped: EmulatedTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=emulated_device(),
            requires_grad=False,
        )
        wrapped.inner = inner
        return wrapped

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def new_tensor(self, data: Any, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
        """A copy of host data."""
        _count("host copy")
        return EmulatedTensor(_PLAIN_TENSOR(data, dtype=dtype or self.dtype))

    def __getitem__(self, index: Any) -> Tensor:
        return torch.Tensor.__getitem__(self, _device_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        torch.Tensor.__setitem__(self, _device_index(index), value)

    def __deepcopy__(self, memo: Any) -> "EmulatedTensor":
        return EmulatedTensor(self.inner.clone())

    def tolist(self) -> Any:
        """Waits for the device."""
        _count("wait")
        return self.inner.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        """Refused, as CUDA does."""
        raise TypeError("can't convert a tensor of a device to numpy; use .cpu() first")


class EmulatedGenerator(torch.Generator):
    """Says which side it draws for; CUDA refuses a generator of the other side."""

    def __new__(cls, device: Any = "cpu") -> "EmulatedGenerator":
        """A CPU generator; the run remembers those of the device (operators see another object)."""
        made = super().__new__(cls, device="cpu" if on_device(device) else device)
        if on_device(device) and _ACTIVE is not None:
            _ACTIVE.generators[made._cdata] = made
        return made


class EmulatedRun(TorchDispatchMode):
    """Within it the emulated device can be used; counts what it saw.

    counts: by (step, kind, place); ``step`` is whatever the test last said, kinds are "wait",
    "host copy", "host index", "float64".
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.step = "load"
        self.generators: dict[int, torch.Generator] = {}

    def __enter__(self) -> "EmulatedRun":
        global _ACTIVE
        self.device = emulated_device()
        _ACTIVE = self
        torch.tensor, torch.as_tensor = _tensor, _as_tensor  # type: ignore[assignment]
        torch.Generator = EmulatedGenerator  # type: ignore[misc]
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        global _ACTIVE
        super().__exit__(*raised)
        torch.tensor, torch.as_tensor = _PLAIN_TENSOR, _PLAIN_AS_TENSOR
        torch.Generator = _PLAIN_GENERATOR  # type: ignore[misc]
        _ACTIVE = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        held = any(isinstance(leaf, EmulatedTensor) for leaf in tree_leaves((args, kwargs)))
        if held or on_device(kwargs.get("device")):
            return _run(func, args, kwargs)
        return func(*args, **kwargs)

    def total(self, kind: str, step: str | None = None) -> int:
        """Events of a kind, of one step or of all."""
        seen = self.counts.items()
        return sum(n for (at, what, _), n in seen if what == kind and step in (None, at))

    def places(self, kind: str, step: str | None = None) -> list[str]:
        """Where they were asked for, most frequent first."""
        seen = [(n, *key) for key, n in self.counts.most_common() if key[1] == kind]
        return [f"{n}x [{at}] {place}" for n, at, _, place in seen if step in (None, at)]


_ACTIVE: EmulatedRun | None = None
_PLAIN_TENSOR, _PLAIN_AS_TENSOR = torch.tensor, torch.as_tensor
_PLAIN_GENERATOR = torch.Generator


def _count(kind: str) -> None:
    if _ACTIVE is not None:
        _ACTIVE.counts[_ACTIVE.step, kind, asked_at()] += 1


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, EmulatedTensor) else x


def _device_index(index: Any) -> Any:
    """Lists are copied to the device before they index."""

    def one(part: Any) -> Any:
        if not isinstance(part, list):
            return part
        _count("host copy")
        return EmulatedTensor(_PLAIN_TENSOR(part, dtype=None if part else torch.long))

    return tuple(one(part) for part in index) if isinstance(index, tuple) else one(index)


def _tensor(data: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> Tensor:
    """``torch.tensor``: reading device numbers waits; a device tensor is a host copy."""
    if any(isinstance(leaf, EmulatedTensor) for leaf in tree_leaves(data)):
        _count("wait")
        data = tree_map(_inner, data)
    made = _PLAIN_TENSOR(data, dtype=dtype)
    if not on_device(device):
        return made
    _count("host copy")
    return EmulatedTensor(made)


def _as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    if isinstance(data, Tensor):
        return data.to(device=device or data.device, dtype=dtype or data.dtype)
    if device is None:
        return _PLAIN_AS_TENSOR(data, dtype=dtype)
    return _tensor(data, dtype=dtype, device=device)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    short = func._schema.name.split("::")[1]
    if short == "_fused_sdp_choice":
        return 0  # the math kernel: it is made of operators that are seen one by one
    if short in ("_to_copy", "copy_"):
        return _copied(func, short, args, kwargs)
    leaves = tree_leaves((args, kwargs))
    ours = [leaf for leaf in leaves if isinstance(leaf, EmulatedTensor)]
    _look(func, short, args, leaves, ours)
    device = kwargs.get("device")
    generator = kwargs.get("generator")
    if generator is not None and _ACTIVE and generator._cdata not in _ACTIVE.generators:
        raise RuntimeError(f"Expected a generator of the device, found one of the CPU ({short})")
    kwargs = {**kwargs, "device": torch.device("cpu")} if device is not None else kwargs
    out = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if func._schema.is_mutable and isinstance(out, Tensor):
        for known in ours:  # in-place operators give back the tensor that they changed
            if known.inner is out or _same_memory(known.inner, out):
                return known
    if not (on_device(device) or (device is None and ours)):
        return out
    return tree_map(lambda x: EmulatedTensor(x) if type(x) is Tensor else x, out)


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride()


def _copied(func: Callable[..., Tensor], short: str, args: Any, kwargs: Any) -> Tensor:
    """Copies between the sides, and conversions."""
    if short == "copy_":
        target, source = args[0], args[1]
        if isinstance(target, EmulatedTensor) and not isinstance(source, EmulatedTensor):
            _count("host copy")
        if not isinstance(target, EmulatedTensor):
            _count("wait")
        _inner(target).copy_(_inner(source))
        return target
    source = args[0]
    device = kwargs.get("device")
    target = source.device if device is None else device
    if isinstance(source, EmulatedTensor) and not on_device(target):
        _count("wait")
    if not isinstance(source, EmulatedTensor) and on_device(target):
        _count("host copy")
    if kwargs.get("dtype") is torch.float64 and on_device(target) and source.numel() > 1:
        _count("float64")
    out = func(_inner(source), **({**kwargs, "device": torch.device("cpu")} if device else kwargs))
    return EmulatedTensor(out) if on_device(target) else out


def _look(func: Any, short: str, args: Any, leaves: list[Any], ours: list[Any]) -> None:
    """Refuse mixes; count waits, host indices and float64."""
    if not ours:
        return
    masks = short in INDEXED and any(
        isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)
        for index in args[1] or []
    )
    counted = short == "repeat_interleave" and func._overloadname == "Tensor"
    if short in WAITS or masks or counted:
        _count("wait")
    for leaf in leaves:
        if not isinstance(leaf, Tensor) or isinstance(leaf, EmulatedTensor):
            continue
        if short in INDEXED and any(leaf is index for index in args[1] or []):
            _count("host index")
        elif leaf.dim() > 0:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found a tensor on the CPU in "
                f"{func._schema.name} ({asked_at()})"
            )
    if any(t.dtype is torch.float64 and t.dim() > 0 for t in ours):
        _count("float64")
