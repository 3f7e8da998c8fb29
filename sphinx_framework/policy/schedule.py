"""The plan as data: what each denoising step computes. Printable, comparable, golden-testable.

A *full* step runs every frame of the clip (and refreshes the latent cache when a partial step
follows); a *partial* step runs the active frames only, or their active tiles (``sparse``). In both,
only active frames advance: the others are held at the noise level of the step.

Frames of one clip may walk by different strides. The clip then visits the steps of all; a frame
that is computed at a step moves to the next step of its own (``ends``) and is on its way until the
clip gets there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxtyping import Bool

if TYPE_CHECKING:  # config files are read without torch
    from torch import Tensor

    from sphinx_framework.policy.guidance import GuidanceConfig

Mode = Literal["coarse", "fine", "selective", "diffusion", "regression"]
METHOD_MODES: tuple[Mode, ...] = ("coarse", "fine", "selective")
MoveKind = Literal["full", "frames", "tiles"]  # what one executed action ran
MODES: tuple[Mode, ...] = (*METHOD_MODES, "diffusion", "regression")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One move ``step -> next_step`` of the active ``frames`` (slot positions of the clip)."""

    step: int
    next_step: int
    frames: tuple[int, ...]
    ends: tuple[int, ...] = ()

    def own_ends(self) -> tuple[int, ...]:
        """The step that each of ``frames`` moves to; ``ends`` unless all move to ``next_step``."""
        return self.ends or (self.next_step,) * len(self.frames)

    def moved(self) -> str:
        """Text of the move: the step, and where to if that is not the next one."""
        skip = "" if self.next_step == self.step + 1 else f">{self.next_step}"
        if self.ends:
            own = (f"{f}>{end}" for f, end in zip(self.frames, self.ends, strict=False))
            skip += f"[{','.join(own)}]"
        return f"{self.step}{skip}"

    def listed(self) -> str:
        """Text of the active frames."""
        return f"[{','.join(str(f) for f in self.frames)}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Full(Action):
    """Every frame is computed; active frames advance.

    record: a later partial step reads what this pass computes.
    """

    record: bool = False

    def text(self) -> str:
        """``F12`` or, when not recorded, ``D12``."""
        return f"{'F' if self.record else 'D'}{self.moved()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial(Action):
    """Partial denoising: active frames alone, or their tiles; the cache gives the rest."""

    sparse: bool = False

    def text(self) -> str:
        """``P13[0,3]`` or, on tiles, ``S13[0,3]``."""
        return f"{'S' if self.sparse else 'P'}{self.moved()}{self.listed()}"


LoweringKind = Literal["no_subsets", "no_sparsity", "tiles_do_not_pay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowering:
    """Steps that run otherwise than planned, why, and that reason as a sentence for people."""

    kind: LoweringKind
    steps: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """All moves of one clip.

    starts: first step of every slot; ``num_steps`` for slots that never advance. Slots that start
        at 0 start from pure noise, all others from the noised regression latents.
    region: active tiles per slot for sparse steps.
    solvers: by slot; ``None`` is the pipeline's own, and so is an empty tuple, for all.
    lowered: what lowering changed and why.
    drift: a planned partial step runs as a full pass once cached features are expected to have
        moved by this share of their size; ``None``: as planned.
    guidance: which moves run one guidance branch; ``None``: none does.
    """

    actions: tuple[Full | Partial, ...]
    starts: tuple[int, ...]
    num_steps: int
    region: Bool[Tensor, "T y x"] | None = None
    solvers: tuple[str | None, ...] = ()
    lowered: tuple[Lowering, ...] = ()
    drift: float | None = None
    guidance: GuidanceConfig | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """The text of what lowering changed."""
        return tuple(lowering.note for lowering in self.lowered)

    def __post_init__(self) -> None:
        """Check the invariants that make the loop safe; raises ``ValueError``."""
        if self.actions and isinstance(self.actions[0], Partial):
            raise ValueError("a schedule cannot open with a partial step: no cache exists yet")
        away: dict[int, int] = {}  # frames that have started -> the step they are on their way to
        expected: int | None = None
        recorded = False
        for action in self.actions:
            if not 0 <= action.step < action.next_step <= self.num_steps:
                raise ValueError(f"{action.text()} leaves the grid of {self.num_steps} steps")
            if expected is not None and action.step != expected:
                raise ValueError(f"{action.text()} does not continue at step {expected}")
            expected = action.next_step
            if not action.frames or not set(action.frames) <= set(range(len(self.starts))):
                raise ValueError(f"{action.text()} has no frames, or frames outside of the clip")
            self._check_own_moves(action, away)
            if isinstance(action, Partial):
                if not recorded:
                    raise ValueError(f"{action.text()} follows a full step that recorded nothing")
                if action.sparse and self.region is None:
                    raise ValueError(f"{action.text()} is sparse but the schedule has no region")
            else:
                recorded = action.record
        if self.actions and expected != self.num_steps:
            raise ValueError("a schedule must end at num_steps")
        if any(end != self.num_steps for end in away.values()):
            raise ValueError("a frame's own moves must end at num_steps")

    def _check_own_moves(self, action: Full | Partial, away: dict[int, int]) -> None:
        """Every frame that has started is computed, or on its way past the step of a full pass."""
        # Active rows are written over the cache, so they must not fall back to being context.
        for frame, end in away.items():
            on_its_way = isinstance(action, Full) and end > action.step
            if frame not in action.frames and not on_its_way:
                raise ValueError(f"{action.text()} drops a frame that was active before")
        if action.ends and (isinstance(action, Partial) or len(action.ends) != len(action.frames)):
            raise ValueError(f"{action.text()}: only full passes have one end per frame")
        for frame, end in zip(action.frames, action.own_ends(), strict=True):
            if away.get(frame, action.step) != action.step or end < action.next_step:
                raise ValueError(f"{action.text()} moves a frame that is on its way")
            away[frame] = end

    @property
    def num_frames(self) -> int:
        """Slots of the clip."""
        return len(self.starts)

    @property
    def full_steps(self) -> int:
        """Steps that compute every frame."""
        return sum(isinstance(action, Full) for action in self.actions)

    @property
    def partial_steps(self) -> int:
        """Steps that compute active frames or tiles only."""
        return len(self.actions) - self.full_steps

    @property
    def frame_steps(self) -> int:
        """Frames computed, over all steps."""
        return sum(
            self.num_frames if isinstance(action, Full) else len(action.frames)
            for action in self.actions
        )

    def text(self) -> str:
        """One line: ``F20 P21[1,4] P22[1,4] ... D49``."""
        return " ".join(action.text() for action in self.actions) or "(nothing to denoise)"
