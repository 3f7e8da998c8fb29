"""The latent cache of one request: what skipped frames and tiles contribute to partial steps.

A full pass records, under the site names of the network, the projected keys and values (and what
convolutions and norms need) of every frame. Partial steps write their active rows over it and read
the rest as it was (paper section 5.2). A cache belongs to one request: nothing is global.
"""

import torch
from torch import Tensor

from sphinx_framework.errors import StaleCacheError
from sphinx_framework.executors.kept import KeptWeights


class LatentCache:
    """Tensors by slot name, of the last full pass.

    Slots are references, not copies: a network must not modify in place what it hands to ``ops``.
    """

    def __init__(self, *, on_host: bool = False) -> None:
        """``on_host``: slots lie in the host's memory, and are copied where they are read."""
        self.recorded_step: int | None = None
        self.on_host = on_host
        self.kept: KeptWeights | None = KeptWeights()  # None: weights are read as they are
        self._slots: dict[str, Tensor] = {}
        self._fresh: set[str] = set()
        self._open: _Copy | None = None
        self.bytes_peak = 0

    def begin_record(self, step: int) -> None:
        """Start a full pass: slots of the last one are dropped, each may be written once."""
        self.recorded_step = step
        self._slots.clear()
        self._fresh.clear()
        self._open = None

    def put(self, slot: str, value: Tensor, *, as_it_lies: bool = False) -> None:
        """Record a slot; a second record in the same pass means two calls share a site name.

        as_it_lies: keep its layout in memory, which is contiguous in some order of its axes.
        """
        self._once(slot)
        self._device = value.device
        value = value if as_it_lies else value.contiguous()
        self._slots[slot] = _of_host(value) if self.on_host else value
        self.bytes_peak = max(self.bytes_peak, self.num_bytes)

    def end_record(self) -> None:
        """End a full pass, all of whose slots are there."""

    def get(self, slot: str) -> Tensor:
        """The slot's tensor, to read or to write active rows into.

        What is written has to be written before the next slot is asked for: a copy of a slot on
        the host goes back there then.
        """
        self._returned()
        try:
            kept = self._slots[slot]
        except KeyError:
            raise StaleCacheError(
                f"a partial step reads slot {slot!r}, which the last full step "
                f"({self.recorded_step}) did not record.",
                hint="Every executor call of the network must run in full passes too.",
            ) from None
        if not self.on_host:
            return kept
        self._open = _Copy(kept, kept.to(self._device))
        return self._open.lent

    def replace(self, slot: str, value: Tensor) -> None:
        """Keep a slot's values elsewhere; they have to be the same."""
        self._slots[slot] = value

    def slots(self) -> dict[str, Tensor]:
        """All slots; raises ``ValueError`` for slots on the host, which are lent one by one."""
        if self.on_host:
            raise ValueError("slots on the host are read one by one")
        return self._slots

    def smallest(self, sites: int) -> list[str]:
        """Slots of the attentions with the fewest tokens: keys and values of that many sites.

        Of a network without attention the smallest slots of any kind.
        """
        sizes = {slot: value.numel() for slot, value in self._slots.items()}
        keys = [slot for slot in sizes if slot.endswith(".key")]
        few = sorted(keys, key=sizes.__getitem__)[:sites]
        if not few:
            return sorted(sizes, key=sizes.__getitem__)[: 2 * sites]
        return [name for slot in few for name in (slot, f"{slot.removesuffix('.key')}.value")]

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        return sum(t.numel() * t.element_size() for t in self._slots.values())

    def clear(self) -> None:
        """Drop all slots."""
        if self.kept is not None:
            self.kept.clear()
        self._slots.clear()
        self._fresh.clear()
        self._open = None
        self.recorded_step = None

    def _once(self, slot: str) -> None:
        if slot in self._fresh:
            raise ValueError(
                f"site slot {slot!r} is recorded twice in one pass: use one site per call"
            )
        self._fresh.add(slot)

    def _returned(self) -> None:
        """Bring rows that were written into the last copy back to the host."""
        if self._open is not None:
            self._open.bring_back()
            self._open = None


class LastBranch(LatentCache):
    """The last guidance branch's part of another cache, to read and to write active rows into."""

    def __init__(self, whole: LatentCache, num_frames: int) -> None:
        """num_frames: of the clip; slots have a row per frame and branch."""
        super().__init__(on_host=whole.on_host)
        self._whole, self._rows = whole, num_frames
        self.kept = whole.kept

    def get(self, slot: str) -> Tensor:
        """A view of the branch's rows."""
        return self._whole.get(slot)[-self._rows :]

    def slots(self) -> dict[str, Tensor]:
        """Views of all slots."""
        return {slot: value[-self._rows :] for slot, value in self._whole.slots().items()}


class _Copy:
    """A slot on the host and its copy on the device; knows whether the copy was written to."""

    def __init__(self, kept: Tensor, lent: Tensor) -> None:
        # On a CPU both are one memory, and nothing has to come back.
        self.kept, self.lent, self.version = kept, lent, lent._version

    def bring_back(self) -> None:
        if self.kept is not self.lent and self.lent._version != self.version:
            self.kept.copy_(self.lent)


def _of_host(value: Tensor) -> Tensor:
    """The values in memory of the host, page-locked where the device is CUDA."""
    if value.device.type == "cpu":
        return value
    pinned = value.device.type == "cuda"
    kept = torch.empty(value.shape, dtype=value.dtype, device="cpu", pin_memory=pinned)
    return kept.copy_(value)
