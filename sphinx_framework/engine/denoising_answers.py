"""What a diffusion model and its sampler answer, checked where it enters the denoising loop."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from torch import Tensor

from sphinx_framework.engine.handed import (
    coarse_tensors,
    evidence_tensors,
    scene_tensors,
    unknowing,
)
from sphinx_framework.engine.layout_checks import layout_problem
from sphinx_framework.protocols import BatchingModel, FinishingModel, Sampler, SolverStep
from sphinx_framework.samplers import SigmaSampler
from sphinx_framework.types import ClipLayout, CoarseViews, Scene, ScoreEvidence
from sphinx_framework.witness import Witness, kind_of
from sphinx_framework.witness.handed import owned

LARGEST_NUMBER = 4  # bytes
Answer = TypeVar("Answer")


class CheckedDiffusion:
    """Layouts, latents, predictions and pictures of the diffusion model."""

    def __init__(self, inner: Any, witness: Witness, max_frames: int | None = None) -> None:
        self._inner, self._witness, self._max_frames = inner, witness, max_frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def inner(self) -> Any:
        """The model itself: requests that have the same one may share its calls."""
        return self._inner

    @property
    def batching(self) -> BatchingModel | None:
        """The model, where it answers several requests in one call."""
        return self._inner if isinstance(self._inner, BatchingModel) else None

    @property
    def finishing(self) -> bool:
        """Whether it makes served frames of refined frames and their renders."""
        return isinstance(self._inner, FinishingModel)

    @property
    def latent_factor(self) -> int:
        """Pixels per latent cell, checked."""
        return self._side("latent_factor")

    @property
    def tile(self) -> int:
        """Cells along a tile's side, checked."""
        return self._side("tile")

    def _side(self, name: str) -> int:
        value = getattr(self._inner, name, None)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._witness.refusal("plan", f"{name} {value!r}", "an int of at least 1")
        return value

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """Pass on and check: every target is made by exactly one slot of one clip."""
        with self._witness.asked("plan", input_photos=scene.images):
            layouts = self._inner.layouts(unknowing(scene))
        counts = (len(scene.inputs), len(scene.targets))
        problem = layout_problem(layouts, *counts, self._max_frames)
        if problem is not None:
            raise self._witness.refusal("plan", *problem)
        answer: tuple[ClipLayout, ...] = tuple(layouts)
        return answer

    def encode(self, images: Tensor) -> Tensor:
        """Pass on and check; channels are the model's own affair."""
        with self._witness.asked("encode", images=images):
            latents = self._inner.encode(images)
        sides = tuple(side // self.latent_factor for side in images.shape[-2:])
        channels = latents.shape[1] if isinstance(latents, Tensor) and latents.ndim == 4 else "C"
        shape = (_count(latents), channels, *sides)
        self._witness.tensor(latents, "latents", "encode", shape, None, images.device)
        self._of_a_network(latents, "latents", "encode")
        return owned(latents)

    def _of_a_network(self, answer: Tensor, what: str, stage: str) -> None:
        """Double precision, from a constant of numpy's perhaps, would slow all that follows."""
        if answer.element_size() > LARGEST_NUMBER:
            raise self._witness.refusal(stage, f"{what} of {answer.dtype}", "at most float32")

    def sampler(self, num_steps: int) -> "CheckedSampler":
        """Pass on; the answer stands behind a guard of its own."""
        with self._witness.asked("encode"):
            sampler = self._inner.sampler(num_steps)
        absent = [n for n in ("num_steps", "noised", "advance") if not hasattr(sampler, n)]
        if absent:
            got = f"{kind_of(sampler)} without {', '.join(absent)} as sampler"
            raise self._witness.refusal("encode", got, "a Sampler")
        if type(sampler.num_steps) is not int or sampler.num_steps != num_steps:
            got = f"a sampler of {sampler.num_steps!r} steps"
            raise self._witness.refusal("encode", got, f"one of the {num_steps} asked for")
        solvers: Any = getattr(sampler, "solvers", ())
        if not isinstance(solvers, tuple | list) or not all(isinstance(s, str) for s in solvers):
            got = f"a sampler whose solvers are {solvers!r:.80}"
            raise self._witness.refusal("encode", got, "a tuple of names")
        return CheckedSampler(sampler, self._witness)

    def condition(
        self, scene: Scene, coarse: CoarseViews, layout: ClipLayout, clean: Tensor, sampler: Any
    ) -> Any:
        """Pass on, with the sampler as the model made it; what it is, only the model knows."""
        own = sampler.inner if isinstance(sampler, CheckedSampler) else sampler
        handed = {**scene_tensors(scene), **coarse_tensors(coarse), "clean_latents": clean}
        with self._witness.asked("encode", **handed):
            return self._inner.condition(unknowing(scene), coarse, layout, clean, own)

    def denoise(self, x: Tensor, step: int, condition: Any, ops: Any) -> Tensor:
        """Pass on and check what costs no look at numbers: a GPU would wait at every step."""
        with self._witness.asked("denoise", state=x):
            prediction = self._inner.denoise(x, step, condition, ops)
        return self.prediction(prediction, x, step)

    @property
    def guided(self) -> bool:
        """Whether it tells its guidance branches apart."""
        return bool(getattr(self._inner, "guided", False))

    def denoise_guided(
        self, x: Tensor, step: int, condition: Any, ops: Any, difference: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Pass on and check both answers, without a look at their numbers."""
        with self._witness.asked("denoise", state=x):
            answers = self._inner.denoise_guided(x, step, condition, ops, difference)
        if not isinstance(answers, tuple) or len(answers) != 2:
            raise self._witness.refusal(
                "denoise", kind_of(answers), "a prediction and the difference of the branches"
            )
        what = f"difference of the branches at step {step}"
        self._witness.placed(answers[1], what, "denoise", tuple(x.shape), None, x.device)
        return self.prediction(answers[0], x, step), answers[1]

    def prediction(self, answer: Any, x: Tensor, step: int) -> Tensor:
        """The prediction for ``x``, checked without a look at its numbers."""
        what = f"prediction of step {step}"
        self._witness.placed(answer, what, "denoise", tuple(x.shape), x.dtype, x.device)
        return owned(answer)

    def predictions(
        self, answers: Any, states: Sequence[Tensor], steps: Sequence[int]
    ) -> list[Tensor]:
        """The same for the answers of one call for several requests."""
        if not isinstance(answers, list | tuple) or len(answers) != len(states):
            came = f"{len(answers)} predictions" if isinstance(answers, list | tuple) else None
            raise self._witness.refusal(
                "denoise", came or kind_of(answers), f"a list of {len(states)} predictions"
            )
        return [self.prediction(a, x, s) for a, x, s in zip(answers, states, steps, strict=True)]

    def asked_together(self, states: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Around one call of the model for several requests."""
        return self._witness.asked(
            "denoise", **{f"state_of_request_{i}": state for i, state in enumerate(states)}
        )

    def check_prediction(self, rows: Tensor, step: int, targets: Sequence[int | None]) -> None:
        """Raise for NaN in the rows that are used, where looking costs nothing: on a CPU.

        targets: of every row, the target that it makes. On other devices
        :meth:`check_denoised` looks once, at the end of the clip.
        """
        if rows.device.type == "cpu":
            self._witness.finite(
                rows, f"predictions of step {step}", "denoise", lambda row: targets[row]
            )

    def decode(self, latents: Tensor) -> Tensor:
        """Pass on and check."""
        with self._witness.asked("decode", latents=latents):
            images = self._inner.decode(latents)
        sides = tuple(side * self.latent_factor for side in latents.shape[-2:])
        shape = (_count(images), 3, *sides)
        self._witness.placed(images, "images", "decode", shape, None, latents.device)
        self._witness.in_range(images, "images", "decode", 1)
        self._of_a_network(images, "images", "decode")
        return owned(images)

    def finish(self, refined: Tensor, evidence: ScoreEvidence) -> Tensor:
        """Pass on and check."""
        with self._witness.asked("decode", refined=refined, **evidence_tensors(evidence)):
            images = self._inner.finish(refined, evidence)
        shape, dtype = tuple(refined.shape), refined.dtype
        self._witness.placed(images, "finished images", "decode", shape, dtype, refined.device)
        self._witness.in_range(images, "finished images", "decode", 1)
        return owned(images)

    def check_count(self, stage: str, answer: Tensor, count: int, what: str, given: int) -> None:
        """Raise unless the codec answered with as many rows as the clip's layout says."""
        if len(answer) != count:
            raise self._witness.refusal(
                stage, f"{len(answer)} {what} for {given} rows", f"{count}, by the clip's layout"
            )

    def check_denoised(self, latents: Tensor, targets: dict[int, int]) -> None:
        """Raise when a clip ended in NaN; ``targets``: row -> its first target."""
        self._witness.finite(latents, "latents", "denoise", lambda slot: targets.get(slot))


class CheckedSampler:
    """A grid whose states keep the shape, type and device of what it is handed.

    inner: as the model made it. The framework's own solver is trusted with settings, with what it
        is handed, and with what it makes of predictions that were looked at; what it raises is told
        as a component's.
    """

    def __init__(self, inner: Any, witness: Witness) -> None:
        self.inner, self._witness = inner, witness
        self._own = type(inner) is SigmaSampler

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def solvers(self) -> tuple[str, ...]:
        """The solvers that it has a choice of; none where it has no choice."""
        return tuple(getattr(self.inner, "solvers", ()))

    def with_solver(self, solver: str) -> "CheckedSampler":
        """The same grid by another solver."""
        with self._witness.asked("denoise"):
            return CheckedSampler(self.inner.with_solver(solver), self._witness)

    def noised(self, clean: Tensor, noise: Tensor, step: int) -> Tensor:
        """Pass on and check."""
        with self._asked(clean_latents=clean, noise=noise):
            state = self.inner.noised(clean, noise, step)
        return self._like(state, clean, f"state at step {step}")

    def advance(self, x: Tensor, denoised: Tensor, move: SolverStep) -> Tensor:
        """Pass on and check."""
        with self._asked(state=x, prediction=denoised):
            state: Tensor = self.inner.advance(x, denoised, move)
        return state if self._own else self._like(state, x, f"state after step {move.step}")

    def tried(self, trial: Callable[[Sampler], Answer]) -> Answer:
        """What a trial of many moves finds out from the sampler itself, watched as one call."""
        with self._asked():
            return trial(self.inner)

    def _asked(self, **handed: Tensor) -> AbstractContextManager[None]:
        if self._own:
            return self._witness.named("denoise")
        return self._witness.asked("denoise", **handed)

    def _like(self, state: Any, given: Tensor, what: str) -> Tensor:
        shape, dtype, device = tuple(given.shape), given.dtype, given.device
        self._witness.placed(state, what, "denoise", shape, dtype, device)
        if device.type == "cpu":
            self._witness.finite(state, what, "denoise", lambda row: None)
        answer: Tensor = state
        return answer


def _count(answer: Any) -> int:
    """Rows of a tensor; how many there must be is the layout's affair."""
    return answer.shape[0] if isinstance(answer, Tensor) and answer.ndim else 0
