"""What the contract of a diffusion model asks of ``denoise`` about the step that it is told."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import InputError
from sphinx_framework.protocols import DiffusionModel, Sampler
from sphinx_framework.testing.contracts.base import NotApplicable
from sphinx_framework.testing.contracts.denoising import PAPER_STEPS, DenoisingChecks
from sphinx_framework.testing.contracts.requests import HeldRequest
from sphinx_framework.testing.oracle import relative_error

SAME_LEVEL = 1e-6  # relative difference of two grids' noise against signal
SAME_ANSWER = 1e-3
# A step whose answer lies so many times farther from both neighbours than they do from each other;
# at an end they lie on one side, and a grid may take a longer step there.
APART, APART_AT_ENDS = 3.0, 6.0


class LevelChecks(DenoisingChecks):
    """Checks of the step that ``denoise`` is told; mixed into :class:`DiffusionContract`.

    asked_steps: of the usual grid; fewer where a network takes seconds.
    """

    asked_steps: Sequence[int] = range(PAPER_STEPS)

    def test_the_noise_level_is_that_of_the_step_asked_about(self) -> None:
        """A level off by one shows on another grid, where the next step has another level."""
        model: DiffusionModel[Any, Any] = self.make()
        usual = self.request(model)
        met = 0
        for count in (2 * self.num_steps - 1, 2 * self.num_steps):
            try:
                finer = self.request(model, num_steps=count)
            except InputError:  # a sampler may not have every number of steps
                continue
            meetings = _meetings(usual.sampler, finer.sampler)
            met += len(meetings)
            if (0, 0) in meetings:
                error = self._apart(model, usual, finer, (0, 0))
                self.expect(
                    error <= SAME_ANSWER,
                    f"one prediction of one state at step 0 of {self.num_steps} and of {count}, "
                    "which have the same noise (denoise looks up the level of its own step)",
                    f"predictions that differ by {error:.2e}",
                )
            # A network may be told the step in other ways; a shift is proved by where it agrees.
            inner = next(((a, b) for a, b in meetings if 0 < a < b), None)
            if inner is None or self._apart(model, usual, finer, inner) <= SAME_ANSWER:
                continue
            for shift in (-1, 1):
                beside = (inner[0] + shift, inner[1] + shift)
                if beside[0] >= self.num_steps or beside[1] >= count or beside in meetings:
                    continue
                error = self._apart(model, usual, finer, beside)
                self.expect(
                    error > SAME_ANSWER / 10,
                    f"one prediction at steps {inner[0]} of {self.num_steps} and {inner[1]} of "
                    f"{count}, which have the same noise",
                    f"one at steps {beside[0]} and {beside[1]}, which have not: the level is off "
                    f"by {-shift:+d}",
                )
        if not met:
            raise NotApplicable("no two of its grids have a noise level in common")

    def test_a_step_is_told_from_the_one_beside_it(self) -> None:
        """A level that is cut off, or counted from the other end, belongs to another step."""
        model: DiffusionModel[Any, Any] = self.make()
        request = self.request(model)
        x, last = request.x, self.num_steps - 1
        first = self._answer(model, request, request.at(0), 0)
        self.expect(
            relative_error(first, request.at(0).float()) > SAME_ANSWER,
            "a prediction at step 0, where the state is noise",
            "the state itself, as at a level without noise",
        )
        answers = {
            step: self._answer(model, request, x, step)
            for step in (0, 1, request.step - 1, request.step, last - 1, last)
        }
        if torch.equal(answers[request.step - 1], answers[request.step]):
            return  # a network that looks at no level at all
        for a, b in ((0, 1), (last - 1, last)):
            self.expect(
                not torch.equal(answers[a], answers[b]),
                f"different predictions of one state at steps {a} and {b}, as at others",
                "equal ones",
            )

    def test_every_step_of_the_usual_grid_is_as_sound_as_its_neighbours(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        request = self.request(model, num_steps=PAPER_STEPS)
        answers = []
        for step in self.asked_steps:
            came = self._dense(model, request, step)
            what = f"denoised latents at step {step} of {PAPER_STEPS}"
            self.expect_shape(came, tuple(request.clean.shape), what)
            answers.append(came.float())
        for index, (before, here, after) in enumerate(_triples(answers)):
            most = APART if 0 < index < len(answers) - 1 else APART_AT_ENDS
            between = float((after - before).norm())
            off = min(float((here - before).norm()), float((here - after).norm()))
            self.expect(
                off <= most * between + 0.1 * float(here.norm()),
                f"a prediction at step {self.asked_steps[index]} of {PAPER_STEPS} like those at "
                "the steps beside it",
                f"one that lies {off / max(between, 1e-12):.3g} times farther from both than they "
                "do from each other",
            )

    def _apart(
        self, model: Any, usual: HeldRequest, finer: HeldRequest, steps: tuple[int, int]
    ) -> float:
        """Difference of what the model says of one state at a step of either grid."""
        x = usual.at(steps[0])
        here = self._answer(model, usual, x, steps[0])
        return relative_error(self._answer(model, finer, x, steps[1]), here)

    def _answer(self, model: Any, request: HeldRequest, x: Tensor, step: int) -> Tensor:
        """What the model says of a state, with nothing computed before."""
        return self._of_state(model, request.anew(), x, step).float()


def _triples(answers: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Every answer between two others: its neighbours, or, at an end, the next two."""
    yield answers[1], answers[0], answers[2]
    yield from zip(answers, answers[1:], answers[2:], strict=False)
    yield answers[-2], answers[-1], answers[-3]


def _meetings(usual: Sampler, finer: Sampler) -> list[tuple[int, int]]:
    """Steps of both grids that have the same noise."""
    levels, others = _levels(usual), _levels(finer)
    return [
        (step, other)
        for step, level in enumerate(levels)
        for other, found in enumerate(others)
        if torch.allclose(found, level, rtol=SAME_LEVEL, atol=0)
    ]


def _levels(sampler: Sampler) -> list[Tensor]:
    """How much of the noise and of the signal is in the state, at every step but the clean one."""
    one, nothing = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    return [
        torch.stack((sampler.noised(nothing, one, step), sampler.noised(one, nothing, step)))
        for step in range(sampler.num_steps)
    ]
