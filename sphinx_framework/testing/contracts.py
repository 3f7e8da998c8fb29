"""The contract of every role, as test classes: a plugin subclasses one and implements ``make``.

The methods need no test framework, so ``sphinx-nvs check NAME`` runs the same classes on installed
components. A method that does not apply raises :class:`NotApplicable`.
"""

import random
import unittest
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.plugin import Capabilities
from sphinx_framework.protocols import (
    DiffusionModel,
    Embedder,
    MaskPolicy,
    QualityEstimator,
    RegressionModel,
    SolverStep,
    StepPolicy,
)
from sphinx_framework.testing.fakes import FakeConfig, FakeRegression, fake_scene
from sphinx_framework.testing.oracle import RELATIVE_TOLERANCE, fresh_cache_errors, relative_error
from sphinx_framework.types import CoarseViews, QualityReport, Scene


class NotApplicable(unittest.SkipTest):
    """The component does not claim what this method checks (test runners count it as skipped)."""


class Contract:
    """Sizes that a component may override where the defaults are illegal for it."""

    size: tuple[int, int] = (64, 64)
    inputs: int = 2
    targets: int = 3

    def make(self) -> Any:
        """Build the component under test."""
        raise NotApplicable("make() builds the component under test")

    def scene(self, seed: int = 0) -> Scene:
        """A tiny posed scene on a straight track."""
        return fake_scene(self.targets, self.inputs, self.size, seed)

    def coarse(self, scene: Scene) -> CoarseViews:
        """Coarse views of it with a hole in the opacity."""
        return FakeRegression(FakeConfig(), torch.device("cpu")).predict(scene)


class RegressionContract(Contract):
    """Stage 1."""

    def test_renders_every_target_in_range(self) -> None:
        scene = self.scene()
        model: RegressionModel = self.make()
        coarse = model.predict(scene)
        assert coarse.images.shape == (self.targets, 3, *self.size), coarse.images.shape
        assert torch.isfinite(coarse.images).all()
        assert float(coarse.images.min()) >= 0
        assert float(coarse.images.max()) <= 1
        if coarse.opacity is not None:
            assert coarse.opacity.shape == (self.targets, *self.size), coarse.opacity.shape
            assert float(coarse.opacity.min()) >= 0
            assert float(coarse.opacity.max()) <= 1 + 1e-5

    def test_is_deterministic_and_leaves_the_scene_alone(self) -> None:
        scene = self.scene()
        before = scene.images.clone()
        model: RegressionModel = self.make()
        first, second = model.predict(scene), model.predict(scene)
        assert torch.equal(first.images, second.images)
        assert torch.equal(scene.images, before)

    def test_permuting_targets_permutes_views(self) -> None:
        scene = self.scene()
        order = list(reversed(range(self.targets)))
        permuted = Scene(
            images=scene.images,
            inputs=scene.inputs,
            targets=scene.targets[order],
            near=scene.near,
            far=scene.far,
        )
        straight = Scene(
            images=scene.images,
            inputs=scene.inputs,
            targets=scene.targets,
            near=scene.near,
            far=scene.far,
        )
        model: RegressionModel = self.make()
        expected = model.predict(straight).images[order]
        assert relative_error(model.predict(permuted).images, expected) < 1e-3


class DiffusionContract(Contract):
    """Stage 2; ``capabilities`` are those the spec claims."""

    capabilities = Capabilities(frame_subset=True, block_sparse=True)
    num_steps: int = 10
    tolerance: float = RELATIVE_TOLERANCE
    draws: int = 3

    def prepared(self, model: DiffusionModel[Any], seed: int = 0) -> tuple[Tensor, Any]:
        """Noised latents and condition of the first clip."""
        scene = self.scene(seed)
        coarse = self.coarse(scene)
        layout = model.layouts(scene)[0]
        frames = layout.stacked(scene.images, coarse.images)
        with torch.no_grad():
            clean = model.encode(frames)
            schedule = model.sampler(self.num_steps)
            condition = model.condition(scene, coarse, layout, clean, schedule)
            generator = torch.Generator().manual_seed(seed + 1)
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            step = self.num_steps // 2
            return schedule.noised(clean, noise, step), condition

    def test_layouts_make_every_target_once(self) -> None:
        scene = self.scene()
        layouts = self.make().layouts(scene)
        made = [target for layout in layouts for target in layout.targets.values()]
        assert sorted(made) == list(range(self.targets)), made
        assert all(s.kind in ("input", "target") for layout in layouts for s in layout.slots)

    def test_codec_shapes(self) -> None:
        model: DiffusionModel[Any] = self.make()
        images = self.scene().images
        with torch.no_grad():
            latents = model.encode(images)
            decoded = model.decode(latents)
        factor = model.latent_factor
        assert latents.shape[0] == len(images)
        assert latents.shape[2:] == (self.size[0] // factor, self.size[1] // factor)
        assert decoded.shape == images.shape, decoded.shape

    def test_schedule_ends_clean_and_a_perfect_denoiser_recovers(self) -> None:
        model: DiffusionModel[Any] = self.make()
        schedule = model.sampler(self.num_steps)
        assert schedule.num_steps == self.num_steps
        generator = torch.Generator().manual_seed(3)
        clean, noise = torch.randn(2, 2, 3, 4, 4, generator=generator)
        assert torch.equal(schedule.noised(clean, noise, self.num_steps), clean)
        x = schedule.noised(clean, noise, 0)
        for step in range(self.num_steps):
            move = SolverStep(
                step=step, next_step=step + 1, previous=None, draw=lambda: torch.zeros_like(clean)
            )
            x = schedule.advance(x, clean, move)
        assert relative_error(x, clean) < 0.05

    def test_denoise_predicts_latents_of_the_held_rows(self) -> None:
        model: DiffusionModel[Any] = self.make()
        x, condition = self.prepared(model)
        with torch.no_grad():
            denoised = model.denoise(x, self.num_steps // 2, condition, DenseExecutor(len(x)))
        assert denoised.shape == x.shape
        assert torch.isfinite(denoised).all()

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
        model: DiffusionModel[Any] = self.make()
        prepared = [self.prepared(model, seed) for seed in (0, 1)]
        alone = [self._two_steps(model, x, condition) for x, condition in prepared]
        caches = [LatentCache(), LatentCache()]
        for cache, (x, condition) in zip(caches, prepared, strict=True):
            self._record(model, x, condition, cache)
        together = [
            self._partial(model, x, condition, cache)
            for cache, (x, condition) in zip(caches, prepared, strict=True)
        ]
        for first, second in zip(alone, together, strict=True):
            assert torch.equal(first, second)

    def _check_fresh_cache(self, *, tiles: bool) -> None:
        model: DiffusionModel[Any] = self.make()
        x, condition = self.prepared(model)
        chooser = random.Random(0)
        for _ in range(self.draws):
            # The last frame without all others: never a prefix, so wrongly picked rows show.
            others = chooser.sample(range(len(x) - 1), chooser.randint(0, max(0, len(x) - 2)))
            frames = [*others, len(x) - 1]
            active = None
            if tiles:
                grid = (len(x), x.shape[2] // model.tile, x.shape[3] // model.tile)
                share = chooser.choice([0.15, 0.5, 1.0])
                active = torch.tensor(
                    [chooser.random() < share for _ in range(grid[0] * grid[1] * grid[2])]
                ).reshape(grid)
                active[chooser.randrange(len(x)), 0, 0] = True
            errors = fresh_cache_errors(
                model, x, self.num_steps // 2, condition, frames=frames, tiles=active
            )
            worst = max(errors, key=errors.__getitem__)
            assert errors[worst] <= self.tolerance, (
                f"{worst}: relative error {errors[worst]:.2e} with frames {sorted(frames)}; some "
                "layer looks at other frames or pixels without going through ops"
            )

    def _record(self, model: Any, x: Tensor, condition: Any, cache: LatentCache) -> None:
        cache.begin_record(0)
        with torch.no_grad():
            model.denoise(x, self.num_steps // 2, condition, RecordExecutor(len(x), cache))

    def _partial(self, model: Any, x: Tensor, condition: Any, cache: LatentCache) -> Tensor:
        frames = torch.tensor([0, len(x) - 1])
        ops = FrameSubsetExecutor(len(x), cache, frames)
        with torch.no_grad():
            result: Tensor = model.denoise(x[frames] * 0.9, self.num_steps // 2, condition, ops)
        return result

    def _two_steps(self, model: Any, x: Tensor, condition: Any) -> Tensor:
        cache = LatentCache()
        self._record(model, x, condition, cache)
        return self._partial(model, x, condition, cache)


class QualityContract(Contract):
    """The no-reference score."""

    tolerance: float = 1e-3

    def test_one_finite_positive_score_per_image(self) -> None:
        scene = self.scene()
        score = self.make().score(scene.images)
        assert score.shape == (self.inputs,), score.shape
        assert torch.isfinite(score).all()
        assert float(score.min()) > 0, "the ratio of paper eq. 2 needs positive scores"

    def test_a_batch_scores_like_its_members(self) -> None:
        images = self.scene().images
        estimator: QualityEstimator = self.make()
        singles = torch.cat([estimator.score(image[None]) for image in images])
        assert relative_error(estimator.score(images), singles) < self.tolerance

    def test_accepts_the_opacity_of_renders(self) -> None:
        scene = self.scene()
        coarse = self.coarse(scene)
        score = self.make().score(coarse.images, coarse.opacity)
        assert score.shape == (self.targets,)


class MaskContract(Contract):
    """Where to refine."""

    def test_marks_pixels_of_every_target(self) -> None:
        scene = self.scene()
        policy: MaskPolicy = self.make()
        for cluster in (None, 0, 1):
            mask = policy.mask(self.coarse(scene), scene, cluster)
            assert mask.dtype == torch.bool
            assert mask.shape == (self.targets, *self.size), mask.shape

    def test_is_deterministic_and_leaves_the_views_alone(self) -> None:
        scene = self.scene()
        coarse = self.coarse(scene)
        before = coarse.images.clone()
        policy: MaskPolicy = self.make()
        first = policy.mask(coarse, scene, None)
        assert torch.equal(first, policy.mask(coarse, scene, None))
        assert torch.equal(coarse.images, before)


class StepsContract(Contract):
    """The k-logic."""

    qualities: tuple[float, ...] = (0.95, 1.0)
    num_steps: int = 50

    def starts(self, ratios: list[float], target: float) -> tuple[int, ...]:
        """Start steps for given ratios."""
        ratio = torch.tensor(ratios)
        report = QualityReport(
            score=ratio, reference=torch.ones_like(ratio), ratio=ratio, input_score=torch.ones(2)
        )
        scene = fake_scene(len(ratios), self.inputs, self.size)
        policy: StepPolicy = self.make()
        return policy.start_steps(report, scene, target, self.num_steps).steps

    def test_one_step_in_range_per_target(self) -> None:
        ratios = [0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.999, 1.0, 1.4]
        for quality in self.qualities:
            steps = self.starts(ratios, quality)
            assert len(steps) == len(ratios)
            assert all(type(s) is int for s in steps), steps
            assert all(0 <= s <= self.num_steps for s in steps), steps

    def test_a_better_view_never_starts_earlier(self) -> None:
        ratios = [i / 40 for i in range(61)]
        for quality in self.qualities:
            steps = self.starts(ratios, quality)
            assert list(steps) == sorted(steps), steps

    def test_a_higher_quality_target_never_starts_later(self) -> None:
        ratios = [i / 20 for i in range(31)]
        tables = [self.starts(ratios, quality) for quality in sorted(self.qualities)]
        for lower, higher in pairwise(tables):
            assert all(b <= a for a, b in zip(lower, higher, strict=True))


class EmbedderContract(Contract):
    """The scene embedding."""

    def test_one_unit_vector_for_all_inputs(self) -> None:
        images = self.scene().images
        embedder: Embedder = self.make()
        vector = embedder.embed(images)
        assert vector.ndim == 1
        assert abs(float(vector.norm()) - 1) < 1e-3
        assert torch.equal(vector, embedder.embed(images))

    def test_looks_at_more_than_the_first_input(self) -> None:
        first, second = self.scene(0).images, self.scene(1).images
        embedder: Embedder = self.make()
        mixed = torch.cat([first[:1], second[1:]])
        assert not torch.equal(embedder.embed(first), embedder.embed(mixed))


CONTRACTS: dict[str, type[Contract]] = {
    "regression": RegressionContract,
    "diffusion": DiffusionContract,
    "quality": QualityContract,
    "mask": MaskContract,
    "steps": StepsContract,
    "embedder": EmbedderContract,
}
