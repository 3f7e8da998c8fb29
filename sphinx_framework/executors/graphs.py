"""CUDA graphs for steps of few frames: what launching costs them is paid once.

A step of one frame is over a thousand small kernels, and the host needs longer to launch them than
the device to run them. A graph is captured once for a shape of call and replayed from then on. It
reads and writes the memory that it was captured with. So every input of the network has a buffer
of its own that never moves: arguments are copied into theirs before a replay; the latent cache and
the constants of a request move into theirs once after each recording, and stay there. The buffers
belong to one request at a time; another one's are copied out of them before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol
from weakref import ref

import torch
from torch import Tensor, nn

from sphinx_framework.executors.compiling import bound, outermost
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LastBranch, LatentCache
from sphinx_framework.logs import get_logger

MOST_FRAMES = 3  # beyond, a step is bound by its work, not by launches (an assumption)
WARM_UPS = 2
UNNAMED = " at 0x"  # in the repr of what has none
Forward = Callable[..., Any]


class Recorder(Protocol):
    """Captures a run of the device."""

    def capture(self, run: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """Run, after warming up; the output's buffer, and what fills it anew."""
        ...


class CudaRecorder:
    """Captures by :class:`torch.cuda.CUDAGraph`; all graphs share one pool of memory."""

    def __init__(self) -> None:
        self._pool: Any = None

    def capture(self, run: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """Warm up on a stream of its own, as capturing asks for, then capture."""
        cuda: Any = torch.cuda  # its streams are not typed
        here, aside = cuda.current_stream(), cuda.Stream()
        aside.wait_stream(here)
        with cuda.stream(aside):
            for _ in range(WARM_UPS):
                run()
        here.wait_stream(aside)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph, pool=self._pool):
            out = run()
        self._pool = graph.pool()
        return out, graph.replay


class Unreadable:
    """Frame numbers on the host: a graph that read them would hold for these frames alone."""

    def __getattr__(self, name: str) -> Any:
        raise Uncapturable("it reads the numbers of its frames on the host")

    def __getitem__(self, index: Any) -> Any:
        raise Uncapturable("it reads the numbers of its frames on the host")

    def __iter__(self) -> Any:
        raise Uncapturable("it reads the numbers of its frames on the host")

    def __len__(self) -> int:
        raise Uncapturable("it reads the numbers of its frames on the host")


class Uncapturable(Exception):  # noqa: N818
    """Why a call cannot be captured."""


class Fixed:
    """Buffers by name that never move, and whose values they hold."""

    def __init__(self) -> None:
        self.buffers: dict[str, Tensor] = {}
        self._sources: dict[str, tuple[Any, int]] = {}

    def load(self, name: str, value: Tensor) -> Tensor:
        """The buffer with the values; they are copied unless they are in it already."""
        kept = self.buffers.get(name)
        if kept is None or not _alike(kept, value):
            kept = self.buffers[name] = value.clone()
            self._sources[name] = ref(value), value._version
            return kept
        if kept is value:
            return kept
        source, version = self._sources.get(name, (None, -1))
        if source is None or source() is not value or version != value._version:
            kept.copy_(value)
            self._sources[name] = ref(value), value._version
        return kept

    @property
    def num_bytes(self) -> int:
        """Bytes of all buffers."""
        return sum(t.numel() * t.element_size() for t in self.buffers.values())


class Slots:
    """The cache of a captured call: slots that never move."""

    kept = None  # weights are read as they are

    def __init__(self, held: dict[str, Tensor]) -> None:
        self.held = held

    def get(self, slot: str) -> Tensor:
        """A slot, to read or to write active rows into."""
        return self.held[slot]

    def slots(self) -> dict[str, Tensor]:
        """All of them."""
        return self.held


@dataclass(slots=True)
class Graph:
    """One captured shape of call: its arguments' buffers, its output, and the replay."""

    inputs: Fixed
    out: Tensor
    replay: Callable[[], None]


class Graphed:
    """A network's ``forward`` whose small partial steps are replayed."""

    def __init__(self, forward: Forward, recorder: Recorder) -> None:
        self.forward, self.recorder = forward, recorder
        self.graphs: dict[Any, Graph] = {}
        self.refused: dict[Any, str] = {}
        self.cache, self.constants = Fixed(), Fixed()
        self._sizes: Any = None  # of what lies in the buffers
        self._owner: Any = lambda: None  # the latent cache that lies in the buffers
        self._owned: dict[str, Tensor] = {}  # its request's constants

    def __call__(self, *arguments: Any, ops: Any, **named: Any) -> Any:
        if not isinstance(ops, FrameSubsetExecutor) or len(ops.frames) > MOST_FRAMES:
            return self.forward(*arguments, ops=ops, **named)
        tensors: list[Tensor] = []
        shape = _taken_apart((arguments, named), tensors)
        sizes = _sizes(ops.cache.slots()), _sizes(ops.constants), ops.num_frames
        key = shape, len(ops.frames), _sizes(dict(enumerate(tensors))), sizes, type(ops.cache)
        if key not in self.refused and key not in self.graphs:
            try:
                made = self._captured(arguments, named, ops, shape, sizes)
                self.graphs[key] = made
            except (RuntimeError, Uncapturable) as error:
                self.refused[key] = str(error).splitlines()[0]
                get_logger("graphs").warning(
                    "steps run without a CUDA graph",
                    frames=len(ops.frames),
                    reason=self.refused[key],
                )
        if key in self.refused:
            return self.forward(*arguments, ops=ops, **named)
        graph = self.graphs[key]
        self._move_in(ops, sizes)
        for number, value in enumerate([*tensors, ops.frames]):
            graph.inputs.load(str(number), value)
        graph.replay()
        return graph.out.clone()

    @property
    def num_bytes(self) -> int:
        """Memory of the buffers; the graphs' own is beside it."""
        inputs = sum(graph.inputs.num_bytes for graph in self.graphs.values())
        return self.cache.num_bytes + self.constants.num_bytes + inputs

    def _captured(
        self, arguments: Any, named: Any, ops: FrameSubsetExecutor, shape: Any, sizes: Any
    ) -> Graph:
        if isinstance(ops.cache, LastBranch):
            raise Uncapturable("it reads one guidance branch of a cache of two")
        if UNNAMED in repr(shape):
            raise Uncapturable("an argument of the network cannot be told from others")
        self._move_in(ops, sizes)
        inputs = Fixed()
        tensors: list[Tensor] = []
        _taken_apart((arguments, named), tensors)
        held = [inputs.load(str(number), value) for number, value in enumerate(tensors)]
        frames = inputs.load(str(len(tensors)), ops.frames)
        given, options = _put_together((arguments, named), iter(held))
        cache: Any = Slots(dict(self.cache.buffers))
        listed: Any = Unreadable()
        known = dict(ops.constants)

        def run() -> Tensor:
            # Frames at the ends of a clip are not told apart; nothing is kept from run to run.
            own = FrameSubsetExecutor(ops.num_frames, cache, frames, dict(known), listed=None)
            own.listed = listed
            out: Tensor = self.forward(*given, ops=own, **options)
            if own.constants.keys() != known.keys():
                raise Uncapturable("it makes constants of a request in a partial step")
            return out

        out, replay = self.recorder.capture(run)
        return Graph(inputs, out, replay)

    def _move_in(self, ops: FrameSubsetExecutor, sizes: Any) -> None:
        """Bring the request's cache and constants into the buffers, unless they lie there.

        A clip of other sizes gets new buffers, and what was captured with the old ones goes.
        """
        owner = self._owner()
        if owner is not None and owner is not ops.cache:
            self._move_out(owner)
        if sizes != self._sizes:
            self.graphs.clear()
            self.cache, self.constants, self._sizes = Fixed(), Fixed(), sizes
        self._owner, self._owned = ref(ops.cache), ops.constants
        for slot, value in ops.cache.slots().items():
            ops.cache.replace(slot, self.cache.load(slot, value))
        for name, value in ops.constants.items():
            ops.constants[name] = self.constants.load(name, value)

    def _move_out(self, owner: LatentCache) -> None:
        """Give another request copies of its own."""
        for slot, value in owner.slots().items():
            if value is self.cache.buffers.get(slot):
                owner.replace(slot, value.clone())
        for name, value in self._owned.items():
            if value is self.constants.buffers.get(name):
                self._owned[name] = value.clone()


def graph_networks(networks: Iterable[nn.Module], recorder: Recorder) -> list[Graphed]:
    """Replay small partial steps of every outermost module whose ``forward`` takes ``ops``."""
    made = []
    for module in [found for network in networks for found in outermost(network)]:
        graphed = Graphed(module.forward, recorder)
        module.forward = bound(module, graphed)
        made.append(graphed)
    return made


def _sizes(tensors: dict[Any, Tensor]) -> tuple[Any, ...]:
    return tuple((name, t.shape, t.dtype, t.stride()) for name, t in tensors.items())


def _alike(kept: Tensor, value: Tensor) -> bool:
    return (kept.shape, kept.stride(), kept.dtype, kept.device) == (
        value.shape, value.stride(), value.dtype, value.device,
    )  # fmt: skip


def _taken_apart(value: Any, tensors: list[Tensor]) -> Any:
    """What is left of arguments without their tensors, comparable; the tensors are listed."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return "tensor"
    if isinstance(value, dict):
        return tuple((name, _taken_apart(value[name], tensors)) for name in sorted(value))
    if isinstance(value, tuple | list):
        return tuple(_taken_apart(one, tensors) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        own = {f.name: getattr(value, f.name) for f in fields(value)}
        return type(value).__qualname__, _taken_apart(own, tensors)
    return repr(value)


def _put_together(value: Any, tensors: Any) -> Any:
    """The same arguments with other tensors in their places."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, dict):
        return {name: _put_together(value[name], tensors) for name in sorted(value)}
    if isinstance(value, tuple | list):
        return type(value)(_put_together(one, tensors) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        own = {f.name: getattr(value, f.name) for f in fields(value)}
        return replace(value, **_put_together(own, tensors))
    return value
