"""The contract of step policies (k-logic)."""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import InputError
from sphinx_framework.protocols import MeasuredQualities, StepPolicy
from sphinx_framework.testing.contracts.base import NotApplicable, coarse_tensors, scene_tensors
from sphinx_framework.testing.contracts.demands import Demands
from sphinx_framework.types import CoarseViews, QualityReport, Scene, StartSteps, Walk

ROUNDING, COARSE_ROUNDING = 0.15, 0.25  # of a share: to a step, or to a multiple of some


class StepsContract(Demands):
    """The k-logic: a later start for a better view, an earlier one for a higher quality."""

    qualities: tuple[float, ...] = (0.95, 1.0)
    other_qualities: tuple[float, ...] = (
        0.5,
        0.7,
        0.8,
        0.85,
        0.9,
        0.97,
        0.98,
        0.99,
    )  # where the policy has them
    num_steps: int = 50
    paragraph = "A step policy"

    def starts(
        self, ratios: list[float], quality: float, num_steps: int | None = None
    ) -> tuple[int, ...]:
        """Start steps for given ratios, of views that look the same."""
        report, scene = self._asked(ratios)
        policy: StepPolicy = self.make()
        assert report.coarse is not None
        given = {**scene_tensors(scene), **coarse_tensors(report.coarse)}
        own = {
            name: getattr(report, name) for name in ("score", "reference", "ratio", "input_score")
        }
        with self.leaves_alone(**own, **given):
            chosen = policy.start_steps(report, scene, quality, num_steps or self.num_steps)
        self.expect(isinstance(chosen, StartSteps), "StartSteps", type(chosen).__name__)
        self._well_formed(chosen, len(ratios))
        return chosen.steps

    def _asked(self, ratios: list[float]) -> tuple[QualityReport, Scene]:
        """What a policy is handed: views that look the same, with these ratios."""
        ratio = torch.tensor(ratios, device=self.device)
        view = self.coarse(self.scene(targets=1))
        assert view.opacity is not None
        report = QualityReport(
            score=ratio.clone(),
            reference=torch.ones_like(ratio),
            ratio=ratio,
            input_score=torch.ones(2, device=self.device),
            coarse=CoarseViews(
                images=view.images.repeat(len(ratios), 1, 1, 1),
                opacity=view.opacity.repeat(len(ratios), 1, 1),
            ),
        )
        return report, self.scene(targets=len(ratios))

    def _well_formed(self, chosen: StartSteps, count: int) -> None:
        """Everything but the steps themselves."""
        self.expect(isinstance(chosen.steps, tuple), "steps as a tuple", type(chosen.steps))
        cluster: object = chosen.cluster
        self.expect(
            cluster is None or (type(cluster) is int and cluster >= 0),
            "a cluster as int >= 0, or None",
            repr(cluster),
        )
        full = chosen.full_ratio
        self.expect(
            full is None or (len(full) == count and all(0 < f < math.inf for f in full)),
            f"full_ratio as {count} positive numbers, or None",
            full,
        )
        walks: object = chosen.walks
        self.expect(
            walks is None
            or (isinstance(walks, tuple) and len(walks) == count and all(map(_is_walk, walks))),
            f"walks as {count} Walks of at least one step, or None",
            walks,
        )
        self.expect(
            chosen.objective in ("paper", "truth"), "objective 'paper' or 'truth'", chosen.objective
        )
        self.expect_texts(chosen.notes, "notes")
        self.expect_texts(chosen.warnings, "warnings")

    def test_one_step_in_range_per_target(self) -> None:
        ratios = [0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.999, 1.0, 1.4]
        for quality in self.qualities:
            for num_steps in (self.num_steps, 20, 7, 1):
                self._in_range(self.starts(ratios, quality, num_steps), ratios, num_steps)

    def test_any_quality_has_an_answer_or_a_refusal(self) -> None:
        ratios = [0.2, 0.9]
        for quality in (0.01, 0.5, 0.9, 0.999):
            try:
                self._in_range(self.starts(ratios, quality), ratios)
            except InputError:  # rules may not know it, and say so
                continue

    def test_measured_qualities_ascend(self) -> None:
        policy: StepPolicy = self.make()
        if not isinstance(policy, MeasuredQualities):
            raise NotApplicable("names no qualities")
        known: Any = policy.qualities
        self.expect(
            isinstance(known, tuple)
            and list(known) == sorted(set(known))
            and all(0 < quality <= 1 for quality in known),
            "qualities in (0, 1] that ascend, as a tuple",
            known,
        )
        for quality in known:
            self.starts([0.5], quality)

    def test_does_not_look_at_the_truth(self) -> None:
        policy: StepPolicy = self.make()
        report, scene = self._asked([0.3, 0.9])
        asked = self.qualities[0], self.num_steps
        known = policy.start_steps(report, self.with_truth(scene), *asked)
        self.expect(
            known.steps == policy.start_steps(report, scene, *asked).steps,
            "the same starts where a scene knows its truth (target_images are for evaluation only)",
            known.steps,
        )

    def test_requests_in_threads_equal_those_alone(self) -> None:
        policy: StepPolicy = self.make()

        def chosen(ratios: list[float]) -> Tensor:
            report, scene = self._asked(ratios)
            found = policy.start_steps(report, scene, self.qualities[0], self.num_steps)
            return torch.tensor(found.steps)

        self.expect_in_threads(
            [lambda: chosen([0.0, 0.3, 0.6]), lambda: chosen([0.9, 0.99, 1.0])], "starts"
        )

    def test_keeps_nothing_of_the_last_request(self) -> None:
        ratios, others = [0.9, 0.2, 0.7], [0.1, 1.3, 0.5, 0.99, 0.0]
        for quality in self.qualities:
            first = self.starts(ratios, quality)
            self.starts(others, max(self.qualities))
            again = self.starts(ratios, quality)
            self.expect(first == again, f"the starts {first} again after other views", again)

    def test_a_ratio_that_is_no_number_has_an_answer(self) -> None:
        ratios = [math.nan, math.inf, -math.inf, 0.5, 0.0]
        for quality in self.qualities:
            steps = self.starts(ratios, quality)
            self._in_range(steps, ratios)
            self.expect(
                steps[0] == min(steps), f"the earliest start, {min(steps)}, for NaN", steps[0]
            )

    def test_a_better_view_never_starts_earlier(self) -> None:
        ratios = [i / 40 for i in range(61)]
        for quality in self.qualities:
            steps = self.starts(ratios, quality)
            self.expect(
                list(steps) == sorted(steps), "starts that never fall with the ratio", steps
            )

    def test_a_target_is_judged_by_its_own_ratio(self) -> None:
        many = [0.9, 0.2, 0.7, 0.99, 0.4, 0.95, 0.85, 1.02, 0.6, 0.97, 0.3, 0.5, 0.8]
        for quality in self.qualities:
            alone = tuple(self.starts([ratio], quality)[0] for ratio in many)
            for count in range(2, len(many) + 1):
                together = self.starts(many[:count], quality)
                self.expect(
                    alone[:count] == together,
                    f"the starts {alone[:count]} of the same ratios alone",
                    together,
                )

    def test_a_higher_quality_target_never_starts_later(self) -> None:
        ratios = [i / 20 for i in range(31)]
        tables = []
        for quality in sorted({*self.qualities, *self.other_qualities}):
            try:
                tables.append(self.starts(ratios, quality))
            except InputError:  # one that the rules do not know
                if quality in self.qualities:
                    raise
        for lower, higher in pairwise(tables):
            self.expect(
                all(b <= a for a, b in zip(lower, higher, strict=True)),
                f"starts at most {lower} for a higher quality",
                higher,
            )

    def test_starts_are_shares_of_the_grid_that_is_asked_about(self) -> None:
        ratios = [i / 20 for i in range(26)]
        for quality in self.qualities:
            usual = self.starts(ratios, quality)
            multiple = min(math.gcd(*usual) / self.num_steps, COARSE_ROUNDING)
            for count in (2 * self.num_steps, 4 * self.num_steps):
                finer = self.starts(ratios, quality, count)
                self.expect(
                    all(
                        abs(there / count - here / self.num_steps) <= max(ROUNDING, multiple)
                        for here, there in zip(usual, finer, strict=True)
                    ),
                    f"starts of {count} steps at the shares of {self.num_steps}: {usual}",
                    finer,
                )
            # On a coarse grid rounding weighs more; but it cannot make a frame one of no steps.
            for count in (20, 7):
                coarse = self.starts(ratios, quality, count)
                least = self.num_steps * (1 - 1.5 / count)
                self.expect(
                    all(
                        there < count or here >= least
                        for here, there in zip(usual, coarse, strict=True)
                    ),
                    f"{count} of {count} steps left out only where {self.num_steps} of "
                    f"{self.num_steps} nearly are: {usual}",
                    coarse,
                )

    def _in_range(
        self, steps: tuple[int, ...], ratios: list[float], num_steps: int | None = None
    ) -> None:
        most = num_steps or self.num_steps
        self.expect(len(steps) == len(ratios), f"{len(ratios)} starts", len(steps))
        self.expect(all(type(s) is int for s in steps), "starts as int", steps)
        self.expect(all(0 <= s <= most for s in steps), f"starts in 0..{most}", steps)


def _is_walk(walk: object) -> bool:
    return isinstance(walk, Walk) and (
        walk.steps is None or (type(walk.steps) is int and walk.steps > 0)
    )
