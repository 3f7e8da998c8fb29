"""What earlier requests leave for later ones: encoded photos and finished views, within a bound."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework_efficient_lvsm.network import EncodedViews, together


@dataclass(frozen=True, slots=True)
class Block:
    """Photos of one request, side by side: what targets read without a copy."""

    keys: tuple[bytes, ...]
    views: EncodedViews

    @property
    def nbytes(self) -> int:
        """Memory of all its photos."""
        return self.views.nbytes


Entry = Block | Tensor


class SceneMemory:
    """Entries by the content they were computed from; the longest unused leave first.

    A model has one for all of its requests; whoever wants the memory of one scene apart (a session,
    an engine that prepares scenes) makes one and hands it to ``predict``. Two photos of the same
    content share an entry; a changed pixel, camera or coordinate frame is another entry, so nothing
    can be stale. Photos of a request are kept as one block: a request for some of them reads that
    block, one with a photo more makes a block in its place. It may be used by several threads.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Photos and finished views held."""
        with self._lock:
            return sum(len(e.keys) if isinstance(e, Block) else 1 for e in self._entries.values())

    def __contains__(self, key: bytes) -> bool:
        with self._lock:
            return key in self._entries or any(key in block.keys for block in self._blocks())

    @property
    def nbytes(self) -> int:
        """Bytes held now; never above the limit."""
        return self._bytes

    def views(self, keys: Sequence[bytes], make: Callable[[int], EncodedViews]) -> EncodedViews:
        """The encoded photos of these keys, in this order.

        Args:
            keys: one a photo.
            make: encodes the photo at one place of ``keys``; called for photos that are not here.
        """
        held = self._holding(keys)
        if held is not None:
            return held.views.chosen([held.keys.index(key) for key in keys])
        each = tuple(dict.fromkeys(keys))

        def one_by_one() -> Iterator[EncodedViews]:
            for key in each:
                block = self._holding([key])
                yield (
                    make(keys.index(key))
                    if block is None
                    else block.views.chosen([block.keys.index(key)])
                )

        block = Block(each, together(one_by_one(), len(each)))
        self._keep(digest(*each), block)
        return block.views.chosen([each.index(key) for key in keys])

    def picture(
        self, key: bytes, make: Callable[[], Float[Tensor, "3 H W"]]
    ) -> Float[Tensor, "3 H W"]:
        """The finished view of this key, made where it is not here."""
        with self._lock:
            entry = self._entries.get(key)
            if isinstance(entry, Tensor):
                self._entries.move_to_end(key)
                return entry
        made = make()
        self._keep(key, made)
        return made

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _blocks(self) -> list[Block]:
        return [entry for entry in self._entries.values() if isinstance(entry, Block)]

    def _holding(self, keys: Sequence[bytes]) -> Block | None:
        """The block used last of those that hold all these photos; it counts as used now."""
        with self._lock:
            for name, entry in reversed(self._entries.items()):
                if isinstance(entry, Block) and set(keys) <= set(entry.keys):
                    self._entries.move_to_end(name)
                    return entry
        return None

    def _keep(self, name: bytes, entry: Entry) -> None:
        if entry.nbytes > self.limit_bytes:
            return
        with self._lock:
            self._drop(name)
            if isinstance(entry, Block):
                for other in [n for n, e in self._entries.items() if _within(e, entry)]:
                    self._drop(other)
            self._entries[name] = entry
            self._bytes += entry.nbytes
            while self._bytes > self.limit_bytes:
                self._drop(next(iter(self._entries)))

    def _drop(self, name: bytes) -> None:
        entry = self._entries.pop(name, None)
        self._bytes -= 0 if entry is None else entry.nbytes


def _within(entry: Entry, block: Block) -> bool:
    """Whether a block holds all photos of another one."""
    return isinstance(entry, Block) and set(entry.keys) <= set(block.keys)


def digest(*parts: Tensor | bytes | str | float | tuple[int, ...]) -> bytes:
    """A key that differs wherever any part differs in kind, shape or a single bit."""
    key = hashlib.blake2b(digest_size=32)
    for part in parts:
        if isinstance(part, Tensor):
            content = part.detach().cpu().contiguous()
            key.update(f"{content.dtype}{tuple(content.shape)}".encode())
            key.update(content.flatten().view(torch.uint8).numpy().data)
        elif isinstance(part, bytes):
            key.update(b"%d:" % len(part))
            key.update(part)
        else:
            key.update(f"{part!r};".encode())
    return key.digest()
