"""Every solver of the official pairs over few steps of the rest; tiny random networks.

What the loop hands to the network, and what is decoded, is what a plain loop over the papers'
formulas makes of the network's answers.
"""

import math
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sphinx_framework.config import config_from_dict
from sphinx_framework.engine.components import build_components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.engine.solvers import known_solvers
from sphinx_framework.frame_plan import Walk
from sphinx_framework.registry import Registry
from sphinx_framework.testing.scenes import track_scene
from sphinx_framework.types import CoarseViews, Scene, StartSteps

CPU = torch.device("cpu")
STEPS = 8
SOLVERS = ("euler", "dpmpp_2m", "unipc")
PAIRS: dict[str, tuple[tuple[int, int], dict[str, Any], dict[str, Any]]] = {
    # Two levels: latents have to be larger than a tile.
    "seva_mvsplat_tiny": ((64, 64), {}, {"channel_mult": [1, 1], "step_noise": False}),
    "viewcrafter_dust3r_tiny": ((64, 96), {"alignment": {"iterations": 1}}, {}),
}


class Dictated:
    """The pair's regression, run once; starts, walks and a mask of one corner as told."""

    def __init__(self, regression: Any) -> None:
        self.regression, self.coarse = regression, None
        self.starts: tuple[int, ...] = ()
        self.walks: tuple[Walk, ...] | None = None

    def predict(self, scene: Scene) -> CoarseViews:
        self.coarse = self.coarse or self.regression.predict(scene)
        return self.coarse

    def start_steps(self, *_: Any) -> StartSteps:
        return StartSteps(steps=self.starts, walks=self.walks)

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> Tensor:
        mask = torch.zeros(len(scene.targets), *scene.targets.image_size, dtype=torch.bool)
        mask[:, :16, :16] = True
        return mask


class Pair:
    """One pair's engine, and a scene of two photos and three targets.

    asked: per call of the network its step, its state and its answer. decoded: latents.
    """

    def __init__(self, name: str) -> None:
        size, regression, diffusion = PAIRS[name]
        told = tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))
        told |= {"name": name, "num_steps": STEPS, "engine": {"retry": False}}
        told["plan"] = {"refresh_every": 3, "full_tail": 1, "max_start": STEPS - 1}
        told["evidence"] = {"min_opacity": 0, "guard": False}
        roles = {role: told["pipeline"][role] for role in ("regression", "diffusion", "mask")}
        roles["regression"] |= regression
        roles["diffusion"] |= diffusion
        # Another score: MUSIQ takes most of a tiny request.
        told["pipeline"] = roles | {"quality": {"use": "lite"}, "steps": {"use": "fixed"}}
        config = config_from_dict(told)
        parts = build_components(config, Registry.from_entry_points(), CPU, name)
        said: Any = Dictated(parts.regression)
        self.said, self.model = said, parts.diffusion
        self.parts = replace(parts, regression=said, steps=said, mask=said)
        self.engine = Engine(self.parts, config, CPU)
        self.scene = track_scene(3, 2, size, 0)
        self.asked: list[tuple[int, Tensor, Tensor]] = []
        self.decoded: list[Tensor] = []
        self.listen(self.model)

    def listen(self, model: Any) -> None:
        denoise, decode = model.denoise, model.decode

        def heard(x: Tensor, step: int, *rest: Any) -> Tensor:
            answer = denoise(x, step, *rest)
            self.asked.append((step, x.clone(), answer.clone()))
            return answer

        def shown(latents: Tensor, *rest: Any) -> Tensor:
            self.decoded.append(latents.clone())
            return decode(latents, *rest)

        model.denoise, model.decode = heard, shown

    def render(self, mode: Any, starts: tuple[int, ...], walk: Walk) -> RenderResult:
        self.asked.clear()
        self.decoded.clear()
        self.said.starts, self.said.walks = starts, (walk,) * 3
        result = self.engine.render(self.scene, mode=mode, seed=0)
        assert bool(torch.isfinite(result.images).all())
        return result


@dataclass
class Level:
    """A state is ``signal * clean + noise * draw``."""

    signal: float
    noise: float

    @property
    def ratio(self) -> float:
        return math.log(self.signal / self.noise)


def levels(model: Any) -> list[Level]:
    """The grid of a pair's own sampler and, last, where its walks end."""
    grid = model.sampler(STEPS)
    if hasattr(grid, "sigmas"):
        return [Level(1, sigma) for sigma in grid.sigmas]
    alphas, scales = [*grid.alphas, grid.end_alpha], [*grid.scales, grid.end_scale]
    return [Level(math.sqrt(a) * s, math.sqrt(1 - a)) for a, s in zip(alphas, scales, strict=True)]


def line(here: Level, there: Level, x: Tensor, clean: Tensor) -> Tensor:
    """The exact move where the clean data stay what they are."""
    kept = there.noise / here.noise
    return kept * x + (there.signal - kept * here.signal) * clean


def corrected(grid: list[Level], past: list[int], answers: list[Tensor], began: Tensor) -> Tensor:
    """The last move once more, from where it began, knowing the answer at its end (UniC)."""
    here, last = grid[past[-1]], grid[past[-2]]
    change = answers[-1] - answers[-2]
    if len(past) == 2 or grid[past[-3]].signal == 0:
        return line(last, here, began, answers[-2] + change / 2)
    span = here.ratio - last.ratio
    ratio = (grid[past[-3]].ratio - last.ratio) / span
    one = math.expm1(-span)
    two = one / -span - 1
    three = two / -span - 1 / 2
    system = torch.tensor([[1.0, 1.0], [ratio, 1.0]], dtype=torch.float64)
    sides = torch.tensor([two / one, 2 * three / one], dtype=torch.float64)
    before, now = torch.linalg.solve(system, sides).tolist()
    slope = (answers[-3] - answers[-2]) / ratio
    return line(last, here, began, answers[-2] + before * slope + now * change)


def by_hand(
    solver: str, grid: list[Level], visited: list[int], x: Tensor, answers: list[Tensor]
) -> list[Tensor]:
    """States at the visited steps and at the end.

    Euler; DPM-Solver++(2M) (Lu et al. 2022, algorithm 2); UniPC (Zhao et al. 2023, order 2,
    ``B = exp(h) - 1``), whose predictor is DPM-Solver++(2M). The first move, the last one and the
    one after pure noise are of first order.
    """
    states, began = [x], x
    for i, at in enumerate(visited):
        end = visited[i + 1] if i + 1 < len(visited) else STEPS
        here, there = grid[at], grid[end]
        if solver == "unipc" and i > 0:
            x = corrected(grid, visited[: i + 1], answers[: i + 1], began)
        estimate = answers[i]
        if solver != "euler" and i > 0 and end < STEPS and grid[visited[i - 1]].signal > 0:
            share = (there.ratio - here.ratio) / (here.ratio - grid[visited[i - 1]].ratio)
            estimate = estimate + share / 2 * (estimate - answers[i - 1])
        began, x = x, line(here, there, x, estimate)
        states.append(x)
    return states


@pytest.fixture(scope="module", params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def test_plans_may_name_every_solver(pair: Pair) -> None:
    assert set(SOLVERS) <= set(known_solvers(pair.parts, STEPS))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("start", "steps"), [(0, 1), (0, 3), (3, 2), (4, 4)])
def test_few_steps_over_the_rest_are_a_plain_loop(
    pair: Pair, solver: str, start: int, steps: int
) -> None:
    result = pair.render("coarse", (start,) * 3, Walk(steps, solver))
    assert result.report.counts.full_steps == steps
    assert result.report.counts.partial_steps == 0
    assert [frame.steps_run for frame in result.report.frames] == [steps] * 3
    visited = [start + i * (STEPS - start) // steps for i in range(steps)]
    assert [step for step, _, _ in pair.asked] == visited
    (layout,) = pair.model.layouts(pair.scene)
    made = [i for i, slot in enumerate(layout.slots) if slot.kind == "target"]
    (final,) = pair.decoded  # the whole clip, or targets alone
    heard = [x[made] for _, x, _ in pair.asked]
    heard.append(final[made] if len(final) == len(layout) else final)
    answers = [answer[made] for _, _, answer in pair.asked]
    for came, expected in zip(
        heard, by_hand(solver, levels(pair.model), visited, heard[0], answers), strict=True
    ):
        torch.testing.assert_close(came, expected, rtol=1e-4, atol=1e-5 * float(came.abs().max()))


@pytest.mark.parametrize("mode", ["selective", "fine"])
def test_every_solver_runs_in_all_kinds_of_moves_and_is_another_one(pair: Pair, mode: str) -> None:
    made = []
    for solver in SOLVERS:
        result = pair.render(mode, (1, 3, 3), Walk(solver=solver))
        kinds = {step.kind for step in result.report.trace}
        assert kinds == {"full", "tiles" if mode == "selective" else "frames"}
        assert [frame.start_step for frame in result.report.frames] == [1, 3, 3]
        made.append(result.images)
    assert not any(torch.equal(made[i], made[j]) for i in range(3) for j in range(i))
