"""The latent cache of one request: what skipped frames and tiles contribute to partial steps.

A full pass records, under the site names of the network, the projected keys and values (and what
convolutions and norms need) of every frame. Partial steps write their active rows over it and read
the rest as it was (paper section 5.2). A cache belongs to one request: nothing is global.
"""

from torch import Tensor

from sphinx_framework.errors import StaleCacheError


class LatentCache:
    """Tensors by slot name, of the last full pass.

    Slots are references, not copies: a network must not modify in place what it hands to ``ops``.
    """

    def __init__(self) -> None:
        self.recorded_step: int | None = None
        self._slots: dict[str, Tensor] = {}
        self._fresh: set[str] = set()
        self.bytes_peak = 0

    def begin_record(self, step: int) -> None:
        """Start a full pass: slots of the last one are dropped, each may be written once."""
        self.recorded_step = step
        self._slots.clear()
        self._fresh.clear()

    def put(self, slot: str, value: Tensor) -> None:
        """Record a slot; a second record in the same pass means two calls share a site name."""
        self._once(slot)
        self._slots[slot] = value.contiguous()
        self.bytes_peak = max(self.bytes_peak, self.num_bytes)

    def end_record(self) -> None:
        """End a full pass, all of whose slots are there."""

    def get(self, slot: str) -> Tensor:
        """The slot's tensor, to read or to write active rows into."""
        try:
            return self._slots[slot]
        except KeyError:
            raise StaleCacheError(
                f"a partial step reads slot {slot!r}, which the last full step "
                f"({self.recorded_step}) did not record.",
                hint="Every executor call of the network must run in full passes too.",
            ) from None

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        return sum(t.numel() * t.element_size() for t in self._slots.values())

    def clear(self) -> None:
        """Drop all slots."""
        self._slots.clear()
        self._fresh.clear()
        self.recorded_step = None

    def _once(self, slot: str) -> None:
        if slot in self._fresh:
            raise ValueError(
                f"site slot {slot!r} is recorded twice in one pass: use one site per call"
            )
        self._fresh.add(slot)
