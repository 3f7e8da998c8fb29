"""Networks compiled once per kind of pass, for whatever frames and tiles a step may have.

A compiled network is retraced for every Python value that it read and that has changed. So each
kind of pass - dense, recording, frames, tiles - has a compiled function of its own, and reads an
executor made for the call: counts are dimensions, tensors of the cache are arguments, and nothing
that grows from step to step is looked at.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.record import RecordExecutor

Forward = Callable[..., Any]


class Slots:
    """The tensors of a latent cache during one call, without its books."""

    kept = None  # weights are read as they are

    def __init__(self, held: dict[str, Tensor]) -> None:
        self.held = held

    def get(self, slot: str) -> Tensor:
        """A slot, to read or to write active rows into."""
        return self.held[slot]

    def put(self, slot: str, value: Tensor, *, as_it_lies: bool = False) -> None:
        """Record a slot."""
        self.held[slot] = value if as_it_lies else value.contiguous()


class Compiled:
    """A network's ``forward`` that runs compiled, with the executor of each call simplified."""

    def __init__(self, forward: Forward, **options: Any) -> None:
        """options: of :func:`torch.compile`."""
        self.forward = forward
        self.by_kind: dict[str, Forward] = {}
        self.options = {"fullgraph": True} | options
        self.makes_constants = True  # until a first call has shown that there are none

    def __call__(self, *arguments: Any, ops: DenseExecutor, **named: Any) -> Any:
        kind, simple = _simplified(ops)
        if self.makes_constants and not ops.constants:
            # The first step of a request makes what the others read: it is traced by nobody.
            out = self.forward(*arguments, ops=ops, **named)
            self.makes_constants = bool(ops.constants)
            return out
        if kind not in self.by_kind:
            self.by_kind[kind] = torch.compile(_of_kind(self.forward, kind), **self.options)
        out = self.by_kind[kind](*arguments, ops=simple, **named)
        if isinstance(ops, RecordExecutor):
            for slot, value in simple.cache.held.items():
                ops.cache.put(slot, value, as_it_lies=True)
        return out


def compile_networks(networks: Iterable[nn.Module], **options: Any) -> int:
    """Compile, in place, every outermost module whose ``forward`` takes ``ops``; how many."""
    found = [module for network in networks for module in outermost(network)]
    for module in found:
        module.forward = bound(module, Compiled(module.forward, **options))
    return len(found)


def outermost(module: nn.Module) -> Iterator[nn.Module]:
    """The module, or the outermost ones in it, whose ``forward`` takes ``ops``."""
    if "ops" in inspect.signature(module.forward).parameters:
        yield module
        return
    for child in module.children():
        yield from outermost(child)


def bound(module: nn.Module, compiled: Forward) -> Forward:
    """Takes ``ops`` by place or by name, as the module's own ``forward`` does."""
    signature = inspect.signature(module.forward)

    def forward(*arguments: Any, **named: Any) -> Any:
        given = signature.bind(*arguments, **named)
        ops = given.arguments.pop("ops")
        return compiled(**given.arguments, ops=ops)

    return forward


def _of_kind(forward: Forward, kind: str) -> Forward:
    """The function under a code object of its own: compiled variants are counted per code."""

    def run(*arguments: Any, **named: Any) -> Any:
        return forward(*arguments, **named)

    code = run.__code__.replace(co_name=f"run_{kind}")
    return FunctionType(code, run.__globals__, f"run_{kind}", None, run.__closure__)


def _simplified(ops: DenseExecutor) -> tuple[str, Any]:
    """The kind of a pass, and an executor for one call of it."""
    total, constants = ops.num_frames, ops.constants
    if isinstance(ops, BlockSparseExecutor):
        held: Any = Slots(dict(ops.cache.slots()))
        return "tiles", BlockSparseExecutor(total, held, ops.tiles.for_compiler(), constants)
    if isinstance(ops, FrameSubsetExecutor):
        held = Slots(dict(ops.cache.slots()))
        simple = FrameSubsetExecutor(total, held, ops.frames, constants, listed=ops.listed)
        simple.margin = 0  # frames at the ends of a clip are not told apart
        return "frames", simple
    if isinstance(ops, RecordExecutor):
        kind = "record_tiles" if ops.tiles else "record_frames"
        held = Slots({})
        return kind, RecordExecutor(total, held, tiles=ops.tiles, constants=constants)
    return "dense", DenseExecutor(total, constants)
