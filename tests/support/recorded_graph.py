"""A stand-in for CUDA graphs on a CPU: remembers the operators of a run, and runs them again.

As with a graph, a replay looks at no Python: it reads and writes the tensors that it was captured
with, so whatever the host decided or read then holds for ever.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

HOST_READS = ("_local_scalar_dense", "nonzero", "equal")


class _Noting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.split("::")[1] in HOST_READS:
            raise RuntimeError("operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        self.calls.append((func, args, kwargs or {}, made))
        return out


class StandIn:
    """A recorder that counts: captures, and the replays of all of them."""

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def capture(self, run: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """Warm up once; then remember."""
        run()
        self.captures += 1
        noting = _Noting()
        with noting:
            out = run()

        def replay() -> None:
            self.replays += 1
            with torch.no_grad():
                for func, args, kwargs, made in noting.calls:
                    again = func(*args, **kwargs)
                    leaves = [x for x in tree_leaves(again) if isinstance(x, Tensor)]
                    for kept, new in zip(made, leaves, strict=True):
                        if kept.data_ptr() != new.data_ptr():  # neither a view nor in place
                            kept.copy_(new)

        return out, replay
