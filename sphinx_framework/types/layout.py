"""The frames of one diffusion pass, in the model's order."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

SlotKind = Literal["input", "target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One frame of a clip: an input photo, or a target to be made.

    given: a target that an earlier clip of the request has finished and that conditions this one.
    """

    kind: SlotKind
    index: int
    given: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLayout:
    """The frames of one diffusion pass, in the model's order.

    latents: the slots that each latent holds, for an autoencoder that compresses time; every slot
        in exactly one of them. ``None``: one latent a slot. A latent starts with the earliest of
        its targets, and the clip is encoded and decoded as a whole.
    """

    slots: tuple[Slot, ...]
    notes: tuple[str, ...] = field(default=())
    latents: tuple[tuple[int, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def num_latents(self) -> int:
        """Rows that the clip has in the network."""
        return len(self.slots) if self.latents is None else len(self.latents)

    @property
    def held(self) -> tuple[tuple[int, ...], ...]:
        """The slots that each latent holds."""
        each = tuple((position,) for position in range(len(self.slots)))
        return each if self.latents is None else self.latents

    @property
    def made(self) -> dict[int, tuple[int, ...]]:
        """Latent -> indices of the targets that it makes, of latents that make any."""
        own = self.targets
        made = {
            latent: tuple(own[position] for position in slots if position in own)
            for latent, slots in enumerate(self.held)
        }
        return {latent: targets for latent, targets in made.items() if targets}

    def stacked(
        self, inputs: Float[Tensor, "N *d"], targets: Float[Tensor, "T *d"]
    ) -> Float[Tensor, "S *d"]:
        """One entry per slot, in the model's order, from what belongs to inputs and targets."""
        return torch.stack(
            [(inputs if s.kind == "input" else targets)[s.index] for s in self.slots]
        )

    @property
    def targets(self) -> dict[int, int]:
        """Slot position -> target index, of the targets that this clip makes."""
        return {
            position: slot.index
            for position, slot in enumerate(self.slots)
            if slot.kind == "target" and not slot.given
        }
