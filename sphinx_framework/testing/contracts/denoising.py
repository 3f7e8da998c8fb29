"""What the contract of a diffusion model asks of ``denoise``, whatever executor runs it."""

import random
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import InputError
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.stacked import StackedExecutor
from sphinx_framework.plugin import Capabilities
from sphinx_framework.protocols import BatchingModel, DiffusionModel
from sphinx_framework.testing.contracts.base import (
    ComplaintError,
    NotApplicable,
    coarse_tensors,
    scene_tensors,
)
from sphinx_framework.testing.contracts.demands import Demands
from sphinx_framework.testing.contracts.requests import HeldRequest, prepared_request
from sphinx_framework.testing.oracle import RELATIVE_TOLERANCE, fresh_cache_errors, relative_error

WORLD_TOLERANCE = 0.02
PAPER_STEPS = 50  # of the grid that pipelines use
LARGEST_PREDICTION = 8.0  # of the state's norm; (x - clean) / sigma is far larger at the end


class DenoisingChecks(Demands):
    """Checks of ``condition`` and ``denoise``; mixed into :class:`DiffusionContract`.

    capabilities: those the spec claims.
    """

    capabilities = Capabilities(frame_subset=True, block_sparse=True)
    num_steps: int = 10
    tolerance: float = RELATIVE_TOLERANCE
    draws: int = 3

    def request(
        self, model: DiffusionModel[Any, Any], seed: int = 0, **changes: Any
    ) -> HeldRequest:
        """A request at the middle of its walk: state, condition, clip."""
        scene = changes.pop("scene", None) or self.scene(seed)
        coarse = self.coarse(scene, opacity=changes.pop("opacity", True))
        num_steps = changes.pop("num_steps", self.num_steps)
        return prepared_request(model, scene, coarse, num_steps, seed, **changes)

    def prepared(self, model: DiffusionModel[Any, Any], seed: int = 0) -> tuple[Tensor, Any]:
        """Noised latents and condition of the first clip."""
        request = self.request(model, seed)
        return request.x, request.condition

    def _dense(self, model: Any, request: HeldRequest, step: int | None = None) -> Tensor:
        step = request.step if step is None else step
        return self._of_state(model, request, request.at(step), step)

    def _of_state(self, model: Any, request: HeldRequest, x: Tensor, step: int) -> Tensor:
        ops = DenseExecutor(len(x), request.constants)
        with torch.no_grad():
            result: Tensor = model.denoise(x, step, request.condition, ops)
        return result

    def test_denoise_predicts_latents_of_the_held_rows(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        for scene in self.variations():
            with self.or_refused(scene):
                for num_steps in (self.num_steps, self.num_steps + 5):
                    request = self.request(model, scene=scene, num_steps=num_steps)
                    for step in (0, num_steps // 2, num_steps - 1):
                        came = self._dense(model, request, step)
                        what = f"denoised latents at step {step} of {num_steps}"
                        self.expect_shape(came, tuple(request.x.shape), what)
                        self.expect(
                            came.dtype == request.x.dtype,
                            f"{what} of {request.x.dtype}",
                            came.dtype,
                        )
        usual = self.request(model, num_steps=PAPER_STEPS)
        for step in (0, PAPER_STEPS - 1):
            came = self._dense(model, usual, step)
            what = f"denoised latents at step {step} of {PAPER_STEPS}"
            self.expect_shape(came, tuple(usual.x.shape), what)

    def test_works_without_opacity(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        request = self.request(model, opacity=False)
        self.expect_shape(self._dense(model, request), tuple(request.x.shape), "denoised latents")

    def test_the_prediction_is_the_clean_state_not_the_noise(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        for num_steps in (self.num_steps, PAPER_STEPS):
            self._clean(model, self.request(model, num_steps=num_steps), num_steps - 1)

    def _clean(self, model: Any, request: HeldRequest, last: int) -> None:
        came, state = self._dense(model, request, last), request.at(last)
        noise, most = _correlation(came, request.noise), _correlation(state, request.noise)
        size = float(came.norm() / state.norm().clamp(min=1e-12))
        self.expect(
            abs(noise) < abs(most) + 0.3 and size < LARGEST_PREDICTION,
            "clean latents as prediction: at the last step no more of the noise than in the state "
            f"(correlation {most:.2f})",
            f"correlation {noise:.2f} with the noise, {size:.2g} times the state's size",
        )

    def test_nothing_that_is_handed_over_is_written_to(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene()
        coarse = self.coarse(scene)
        with self.leaves_alone(**scene_tensors(scene), **coarse_tensors(coarse)):
            request = prepared_request(model, scene, coarse, self.num_steps, 0)
            with self.leaves_alone(clean=request.clean):
                model.condition(
                    scene, coarse, request.layout, request.clean, model.sampler(self.num_steps)
                )
            for step in (0, request.step, self.num_steps - 1):
                x = request.at(step).clone()
                with self.leaves_alone(x=x):
                    model.denoise(x, step, request.condition, DenseExecutor(len(x)))

    def test_what_is_computed_once_depends_on_no_step(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        request = self.request(model)
        other = request.step + 2
        fresh = self._dense(model, request.anew(), other)
        self._dense(model, request)  # fills the request's constants at another step
        error = relative_error(self._dense(model, request, other), fresh)
        self.expect(
            error <= self.tolerance, "ops.constant(...) of what no step changes",
            f"another step's constants changed the prediction by {error:.2e}",
        )  # fmt: skip

    def test_requests_share_no_state(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        first = self.request(model, 0)
        answer = self._dense(model, first.anew())
        with self.stay("predictions", answer):
            self._dense(model, first.anew(), first.step + 1)
        expected = answer.clone()
        self._in_between(model)
        as_before = (
            "a request to go on as before after another was prepared and run (keep its state in "
            "the condition, not on self)"
        )
        try:
            came = self._dense(model, first.anew())
        except ComplaintError:
            raise
        except Exception as error:  # of the other request's shapes, say
            self.expect(False, as_before, repr(error))
            raise
        self.expect(
            torch.equal(came, expected), as_before,
            f"a prediction that differs by {relative_error(came, expected):.2e}",
        )  # fmt: skip
        anew = self._dense(model, self.request(model, 0))
        self.expect(
            torch.equal(anew, expected),
            "the same prediction when the same request is prepared again",
            f"one that differs by {relative_error(anew, expected):.2e}",
        )

    def _in_between(self, model: DiffusionModel[Any, Any]) -> None:
        """Another request: other photos, steps, certainty, counts and size."""
        second = self.request(model, 1, num_steps=self.num_steps + 5, opacity=False)
        self._dense(model, second)
        height, width = self.size
        larger = self.scene(2, targets=self.targets + 2, size=(height, 2 * width))
        with self.or_refused(larger):
            self._dense(model, self.request(model, scene=larger, opacity=False))
        model.sampler(self.num_steps + 3)

    def test_knows_photos_by_what_they_show(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene(0)
        before = self._dense(model, self.request(model, scene=scene)).clone()
        kept = scene.images.clone()
        scene.images.copy_(self.scene(1).images)
        came = self._dense(model, self.request(model, scene=scene)).clone()
        again = self._dense(
            model, self.request(model, scene=replace(scene, images=scene.images.clone()))
        )
        scene.images.copy_(kept)
        self.expect(
            torch.equal(came, again) and not torch.equal(came, before),
            "a prediction for what the memory of the photos holds now",
            "one for what it held before (a store is keyed by content, not by address)",
        )

    def test_requests_in_threads_equal_those_alone(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()

        def asked(seed: int) -> Tensor:
            with torch.no_grad():
                return self._dense(model, self.request(model, seed))

        self.expect_in_threads([lambda: asked(0), lambda: asked(1)], "predictions")
        # Prepared before, threads do nothing but predict: they meet inside of the network.
        requests = [self.request(model, seed) for seed in (0, 1)]

        def predicted(request: HeldRequest) -> Tensor:
            held = request.anew()
            steps = (held.step, self.num_steps - 1)
            with torch.no_grad():
                return torch.cat([self._dense(model, held, step) for step in steps])

        self.expect_in_threads(
            [partial(predicted, request) for request in requests],
            "predictions of prepared requests",
        )

    def test_several_requests_in_one_call_equal_each_alone(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        if not isinstance(model, BatchingModel):
            raise NotApplicable("has no denoise_many: requests are asked one by one")
        requests = [self.request(model, 0), self.request(model, 1, num_steps=self.num_steps + 5)]
        steps = [request.step for request in requests]
        alone = [self._dense(model, request.anew()) for request in requests]
        rows = [request.x for request in requests]
        executors = [DenseExecutor(len(x), {}) for x in rows]
        stacked = StackedExecutor(executors, [len(x) for x in rows])
        conditions = [request.condition for request in requests]
        came = model.denoise_many(rows, steps, conditions, executors, stacked)
        self.expect(len(came) == len(rows), f"{len(rows)} predictions", len(came))
        for one, expected in zip(came, alone, strict=True):
            self.expect_shape(one, tuple(expected.shape), "denoised latents")
            error = relative_error(one, expected)
            self.expect(error <= self.tolerance, "each request's own prediction", error)

    def test_the_world_frame_is_arbitrary(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene()
        coarse = self.coarse(scene)
        here, there = (
            self._dense(model, prepared_request(model, place, coarse, self.num_steps, 0))
            for place in (scene, self.elsewhere(scene))
        )
        error = float((here - there).norm() / here.norm().clamp(min=1e-12))
        self.expect(
            error <= WORLD_TOLERANCE,
            "the same prediction when the whole world is turned and shifted (camera-to-world)",
            f"one that differs by {100 * error:.1f} %",
        )

    def test_does_not_look_at_the_truth(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene()
        known = self._dense(model, self.request(model, scene=self.with_truth(scene)))
        self.expect(
            torch.equal(known, self._dense(model, self.request(model, scene=scene))),
            "the same prediction where a scene knows its truth (target_images are for evaluation)",
            "another one",
        )

    def test_fresh_cache_equivalence_of_frames(self) -> None:
        if not self.capabilities.frame_subset:
            raise NotApplicable("claims no frame subsets")
        self._check_fresh_cache(tiles=False)

    def test_fresh_cache_equivalence_of_tiles(self) -> None:
        if not self.capabilities.block_sparse:
            raise NotApplicable("claims no block sparsity")
        self._check_fresh_cache(tiles=True)

    def test_interleaved_requests_equal_sequential_ones(self) -> None:
        if not self.capabilities.frame_subset:
            raise NotApplicable("claims no frame subsets")
        model: DiffusionModel[Any, Any] = self.make()
        requests = [self.request(model, seed) for seed in (0, 1)]
        alone = []
        for request in requests:
            request.record(model)
            alone.append(request.partial(model))
        for request in requests:
            request.record(model)
        together = [request.partial(model) for request in requests]
        for first, second in zip(alone, together, strict=True):
            self.expect(
                torch.equal(first, second), "interleaved requests equal to sequential ones",
                f"a difference of {relative_error(second, first):.2e}",
            )  # fmt: skip

    def _drawn(self, model: DiffusionModel[Any, Any], draw: int) -> HeldRequest:
        """A request: the usual one; then, where the model takes them, another size and count."""
        height, width = self.size
        wide, tall = ((height, 2 * width), self.targets + 2), ((2 * height, width), self.targets)
        if draw % 3 == 0:
            return self.request(model)
        size, targets = wide if draw % 3 == 1 else tall
        try:
            return self.request(model, scene=self.scene(size=size, targets=targets))
        except InputError:
            return self.request(model)

    def _check_fresh_cache(self, *, tiles: bool) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        chooser = random.Random(0)
        for draw in range(self.draws):
            request = self._drawn(model, draw)
            step = (self.num_steps // 2, 0, self.num_steps - 1)[draw % 3]
            x, condition = request.at(step), request.condition
            # The last frame without all others: never a prefix, so wrongly picked rows show.
            others = chooser.sample(range(len(x) - 1), chooser.randint(0, max(0, len(x) - 2)))
            frames = [*others, len(x) - 1]
            active = _random_tiles(chooser, x, model.tile) if tiles else None
            errors = fresh_cache_errors(model, x, step, condition, frames=frames, tiles=active)
            worst = max(errors, key=errors.__getitem__)
            self.expect(
                errors[worst] <= self.tolerance,
                f"{worst} {sorted(frames)} to equal a full pass (every layer that looks at other "
                "frames or pixels goes through ops)",
                f"relative error {errors[worst]:.2e}",
            )


def _random_tiles(chooser: random.Random, x: Tensor, tile: int) -> Tensor:
    grid = (len(x), x.shape[2] // tile, x.shape[3] // tile)
    share = chooser.choice([0.15, 0.5, 1.0])
    picked = [chooser.random() < share for _ in range(grid[0] * grid[1] * grid[2])]
    active = torch.tensor(picked).reshape(grid)
    active[chooser.randrange(len(x)), 0, 0] = True
    return active


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a.float() - a.float().mean(), b.float() - b.float().mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12))
