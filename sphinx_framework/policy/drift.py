"""How long something measured may be used again, by how fast it has been seen to move (pure)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Relative change per denoising step."""

    per_step: float

    @classmethod
    def seen(cls, change: float, steps: int) -> "Pace":
        """What moved by ``change`` of its size over ``steps`` steps."""
        return cls(change / steps)

    def lasts(self, age: int, limit: float) -> bool:
        """Whether it will have moved by at most ``limit`` when it is ``age`` steps old."""
        return self.per_step * age <= limit
