"""A frame's plan: where its refinement starts, how many solver steps cover the rest, by which.

Every way to spend diffusion is a point of this one space: full diffusion (start 0, every step),
plain few-step diffusion (start 0, n steps), the paper's walk (any start, as ``[plan]`` says), a
late start with one or two steps, and the regression frame as it is (start ``num_steps``).
"""

import re
from dataclasses import dataclass

TEXT = re.compile(r"^(?P<start>\d+)(x(?P<steps>\d+))?(:(?P<solver>\w+))?$")


@dataclass(frozen=True, slots=True)
class Walk:
    """How a target gets from its start to the end.

    steps: solver steps, spread evenly over what remains; ``None``: as the pipeline's ``[plan]``
        says (the paper: every step). solver: by name; ``None`` is the pipeline's own.
    """

    steps: int | None = None
    solver: str | None = None

    def visited(self, start: int, num_steps: int, cap: int | None = None) -> tuple[int, ...]:
        """Steps of the grid that the network is asked at; only for a stated number of steps."""
        if self.steps is None:
            raise ValueError("a walk without a number of steps is laid out by the pipeline's plan")
        length = num_steps - start
        count = min(self.steps, length, length if cap is None else cap)
        return tuple(start + i * length // count for i in range(count))


OWN = Walk()


@dataclass(frozen=True, slots=True)
class FramePlan:
    """One point of the space; ``start`` counts on a grid that the context states."""

    start: int
    walk: Walk = OWN

    def cost(self, num_steps: int) -> int:
        """Times that the network computes the frame: what plans are ordered by."""
        rest = num_steps - self.start
        return rest if self.walk.steps is None else min(self.walk.steps, rest)

    def full(self, num_steps: int) -> bool:
        """Whether it is full diffusion: from noise, every step, the pipeline's solver."""
        return self == FramePlan(0, Walk(num_steps))

    def text(self) -> str:
        """``30`` (as ``[plan]`` walks), ``30x2`` (two steps), ``30x3:dpmpp_2m``."""
        steps = "" if self.walk.steps is None else f"x{self.walk.steps}"
        return f"{self.start}{steps}{'' if self.walk.solver is None else f':{self.walk.solver}'}"

    @classmethod
    def parse(cls, text: str) -> "FramePlan":
        """The inverse of :meth:`text`; raises ``ValueError``."""
        found = TEXT.match(text)
        if found is None:
            raise ValueError(f"{text!r} is no plan: START, STARTxSTEPS or STARTxSTEPS:SOLVER")
        steps = found["steps"]
        return cls(
            int(found["start"]), Walk(None if steps is None else int(steps), found["solver"])
        )


def full_diffusion(num_steps: int) -> FramePlan:
    """The reference: from noise, every step."""
    return FramePlan(0, Walk(num_steps))


def as_rendered(num_steps: int) -> FramePlan:
    """The regression frame, as it is."""
    return FramePlan(num_steps)
