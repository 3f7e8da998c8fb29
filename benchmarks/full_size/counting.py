"""What a call costs, counted and not timed: operations, memory traffic, peak memory, operators.

Runs on the meta device, where nothing is computed and nothing allocated, so that networks of any
size are counted on any machine (and on real devices alike). Counted is what PyTorch's operators
are asked for, one by one:

* operations: 2 per multiply-add, of matrix products, convolutions and attention;
* traffic: bytes that every operator reads and writes, as if nothing stayed in a processor's
  cache. Views are free; a gather reads what it picks, a scatter writes what it is given;
* peak: bytes of storages made by the call that live at once. Weights and inputs are not in it,
  nor is scratch memory inside kernels;
* attention counts as one fused operator: what such a kernel reads and writes. The math fallback
  would hold all products of queries and keys twice, in float32: ``math_bytes``, of the largest.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
FREE = {aten._unsafe_view, aten.empty, aten.empty_like, aten.new_empty, aten.empty_strided}
# Operators that read from their first argument only what the others pick.
GATHERS = {aten.index, aten.index_select, aten.gather, aten.embedding, aten._index_put_impl_}
SCATTERS = {
    aten.index_put_,
    aten.index_copy_,
    aten.scatter_,
    aten.index_add_,
    aten._index_put_impl_,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one call asks for; see the module for what each number means."""

    flops: int
    traffic_bytes: int
    peak_bytes: int
    operators: int
    math_bytes: int


def counted(call: Callable[[], Any]) -> Counts:
    """Run a call, without gradients, and count it."""
    counter = _Counter()
    with torch.no_grad(), counter, _Attention(counter):
        call()
    return Counts(
        flops=counter.flops,
        traffic_bytes=counter.traffic,
        peak_bytes=counter.peak,
        operators=counter.operators,
        math_bytes=counter.math,
    )


def stored_bytes(x: Tensor) -> int:
    """Bytes of memory that a tensor's elements lie in: repeats by stride 0 count once."""
    count = 1
    for size, stride in zip(x.shape, x.stride(), strict=True):
        count *= size if stride != 0 or size == 0 else 1
    return count * x.element_size()


def parameter_bytes(network: torch.nn.Module) -> int:
    """Bytes of a network's weights and buffers."""
    tensors = (*network.parameters(), *network.buffers())
    return sum(t.numel() * t.element_size() for t in tensors)


class _Counter(TorchDispatchMode):
    """Looks at every operator that reaches a device."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.traffic = self.operators = self.math = 0
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = _tensors((*args, *kwargs.values()))
        before = {leaf.untyped_storage()._cdata for leaf in given}
        out = func(*args, **kwargs)
        made = _tensors((out,))
        for leaf in made:
            self.keep(leaf, before)
        packet = func._overloadpacket
        if packet in FREE or _is_view(func):
            return out
        if packet in flop_registry:
            self.flops += flop_registry[packet](*args, **kwargs, out_val=out)
        self.moved(_traffic(packet, args, given, made))
        return out

    def moved(self, size: int) -> None:
        """Book one operator that reads and writes so many bytes."""
        self.operators += 1
        self.traffic += size

    def keep(self, x: Tensor, before: set[int]) -> None:
        """Book a storage until it is let go."""
        storage = x.untyped_storage()
        key = storage._cdata
        if key in self._known or key in before:
            return
        self._known.add(key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._let_go, key, storage.nbytes())

    def _let_go(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class _Attention(TorchFunctionMode):
    """Takes attention as one fused operator, whatever this machine would run."""

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self.counter = counter

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        return self._fused(*args, **kwargs)

    def _fused(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **_: Any
    ) -> Tensor:
        out = torch.empty(
            (*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=query.device
        )
        counter, mask = self.counter, () if attn_mask is None else (attn_mask,)
        pairs = query.shape[:-1].numel() * key.shape[-2]
        counter.flops += 2 * pairs * (query.shape[-1] + value.shape[-1])
        counter.math = max(counter.math, 2 * 4 * pairs)
        counter.moved(sum(stored_bytes(t) for t in (query, key, value, out, *mask)))
        return out


def _tensors(given: Iterable[Any]) -> list[Tensor]:
    """Tensors among an operator's arguments or answers, and in lists of them."""
    found = []
    for one in given:
        if isinstance(one, Tensor):
            found.append(one)
        elif isinstance(one, list | tuple):
            found += [member for member in one if isinstance(member, Tensor)]
    return found


def _is_view(func: Any) -> bool:
    """Whether an operator gives back another look at its argument, and writes nothing."""
    returned = func._schema.returns
    return bool(returned) and all(
        r.alias_info is not None and not r.alias_info.is_write for r in returned
    )


def _traffic(packet: Any, args: Any, given: list[Tensor], made: list[Tensor]) -> int:
    """Bytes read and written by one operator."""
    if packet in SCATTERS:
        rest = _tensors(args[1:])
        values = rest[-1]
        return sum(stored_bytes(t) for t in rest) + stored_bytes(values)
    if packet in GATHERS:
        index = _tensors(args[1:])
        return sum(stored_bytes(t) for t in index) + 2 * sum(map(stored_bytes, made))
    if packet in (aten.fill_, aten.zero_):
        return sum(map(stored_bytes, made))
    if packet is aten.copy_:
        return stored_bytes(args[0]) + stored_bytes(args[1])
    return sum(map(stored_bytes, given)) + sum(map(stored_bytes, made))
