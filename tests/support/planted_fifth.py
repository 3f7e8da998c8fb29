"""Mistakes about one step: its level, its answer, and starts that know one grid only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from engines import CPU
from torch import Tensor
from torch.nn import functional

from sphinx_framework.protocols import Sampler
from sphinx_framework.testing.fakes import FakeConfig, FakeDiffusion


@dataclass(frozen=True)
class Levelled:
    """A condition that knows the levels of its request."""

    ramp: Tensor
    sampler: Sampler


class LevelledDiffusion(FakeDiffusion):
    """A network that is told the noise level, preconditioned as usual or not at all.

    place: of the level of a step in the sampler's table, by step and number of steps.
    """

    def __init__(self, place: Callable[[int, int], int], *, preconditioned: bool = True) -> None:
        super().__init__(FakeConfig(), CPU)
        self.place, self.preconditioned = place, preconditioned

    def condition(self, scene, coarse, layout, clean, sampler) -> Any:
        return Levelled(super().condition(scene, coarse, layout, clean, sampler), sampler)

    def denoise(self, x, step, condition, ops) -> Tensor:
        grid = condition.sampler
        level = float(grid.sigmas[self.place(step, grid.num_steps)])
        wide = (1 + level**2) ** 0.5
        time = torch.full((len(condition.ramp), 1), level / wide)
        made = torch.tanh(self.network(x / wide, time, condition.ramp, ops))
        return x / wide**2 + level / wide * made if self.preconditioned else made + 0.1 * x / wide


RIGHT = LevelledDiffusion(lambda step, count: step)
WRONG_LEVELS = {
    "the next one's": lambda step, count: step + 1,
    "the next one's, but at the end": lambda step, count: min(step + 1, count - 1),
    "the last one's": lambda step, count: step - 1,
    "the last one's, but at the start": lambda step, count: max(step - 1, 0),
    "the last one's, of those with noise": lambda step, count: (step - 1) % count,
}


def at(step: int, change: Callable[[Tensor], Tensor]) -> Any:
    """Another answer at one step."""

    def changed(fake, denoise, state, x, asked, condition, ops):
        came = denoise(x, asked, condition, ops)
        return change(came) if asked == step else came

    return changed


def clamps_at_step_31(fake, denoise, state, x, step, condition, ops):
    if step == 31:
        x.clamp_(-0.5, 0.5)
    return denoise(x, step, condition, ops)


def noise_at_step_23(fake, denoise, state, x, step, condition, ops):
    clean = denoise(x, step, condition, ops)
    return x - clean if step == 23 else clean


# Step policies


def up_to_step_40(ratios, quality, count):
    return [min(40, int(count * ratio**2)) if ratio > 0 else 0 for ratio in map(_known, ratios)]


def up_to_step_50(ratios, quality, count):
    return [min(50, int(count * _known(ratio) ** 2)) for ratio in ratios]


def step_40_of_any_grid(ratios, quality, count):
    return [min(40, count) if _known(ratio) > 0.6 else 0 for ratio in ratios]


def _known(ratio: float) -> float:
    return min(max(ratio, 0.0), 1.0) if ratio == ratio else 0.0


# Scene readers


def pictures_alone(fake, read, state, path, size=None, **options):
    scene = read(path, **options)
    if size is None:
        return scene
    fitted = functional.interpolate(scene.images, size, mode="bilinear")
    inputs, targets = (replace(c, image_size=size) for c in (scene.inputs, scene.targets))
    return replace(scene, images=fitted, inputs=inputs, targets=targets, target_images=None)


def width_before_height(fake, read, state, path, size=None, **options):
    scene = read(path, **options)
    if size is None:
        return scene
    from sphinx_framework.geometry.resize import fit_scene

    return fit_scene(replace(scene, target_images=None), size[::-1], "stretch")
