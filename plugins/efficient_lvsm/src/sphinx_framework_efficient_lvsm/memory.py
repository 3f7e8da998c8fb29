"""What earlier requests leave for later ones: encoded photos and finished views, within a bound."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework_efficient_lvsm.network import EncodedView

Entry = EncodedView | Tensor


class SceneMemory:
    """Entries by the content they were computed from; the longest unused leave first.

    A model has one for all of its requests; whoever wants the memory of one scene apart (a session,
    an engine that prepares scenes) makes one and hands it to ``predict``. Two photos of the same
    content share an entry; a changed pixel, camera or coordinate frame is another entry, so nothing
    can be stale. It may be used by several threads.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    @property
    def nbytes(self) -> int:
        """Bytes held now; never above the limit."""
        return self._bytes

    def view(self, key: bytes, make: Callable[[], EncodedView]) -> EncodedView:
        """The encoded photo of this key, made where it is not here."""
        entry = self._found(key)
        if not isinstance(entry, EncodedView):
            entry = make()
            self._keep(key, entry)
        return entry

    def picture(
        self, key: bytes, make: Callable[[], Float[Tensor, "3 H W"]]
    ) -> Float[Tensor, "3 H W"]:
        """The finished view of this key, made where it is not here."""
        entry = self._found(key)
        if not isinstance(entry, Tensor):
            entry = make()
            self._keep(key, entry)
        return entry

    def remove(self, key: bytes) -> None:
        """Forget an entry; what is not here is no mistake."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _found(self, key: bytes) -> Entry | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def _keep(self, key: bytes, entry: Entry) -> None:
        if entry.nbytes > self.limit_bytes:
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = entry
            self._bytes += entry.nbytes
            while self._bytes > self.limit_bytes:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        self._bytes -= 0 if entry is None else entry.nbytes


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
