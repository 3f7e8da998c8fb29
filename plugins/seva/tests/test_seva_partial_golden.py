"""Frame-subset denoising against the authors' partial run (sphinx_reference sections 6 and 7)."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from sphinx_framework.engine.loop import Refinement
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.policy.schedule import Full, Partial, Schedule
from sphinx_framework.protocols import Executor, SolverStep
from sphinx_framework.testing.goldens import Golden, golden
from sphinx_framework_seva.conditioning import SevaCondition
from sphinx_framework_seva.config import Architecture
from sphinx_framework_seva.guidance import guidance_scale
from sphinx_framework_seva.model import denoise_rows
from sphinx_framework_seva.network import UNet
from sphinx_framework_seva.noise_levels import noise_levels
from sphinx_framework_seva.schedule import SevaSchedule


@dataclass
class Run:
    """The golden's run: network, conditioning and schedule; ``denoise`` as the engine calls it."""

    fixture: Golden
    network: UNet
    condition: SevaCondition
    schedule: SevaSchedule

    def denoise(self, x: Tensor, step: int, condition: SevaCondition, ops: Executor) -> Tensor:
        return denoise_rows(
            self.network,
            x,
            index=self.schedule.time_indices[step],
            sigma=self.schedule.sigmas[step],
            condition=condition,
            ops=ops,
        )

    def advance(self, x: Tensor, clean: Tensor, step: int) -> Tensor:
        move = SolverStep(step=step, next_step=step + 1, previous=None, draw=torch.Tensor)
        return self.schedule.advance(x, clean, move)

    def held(self, step: int) -> Tensor:
        t = self.fixture.tensors
        return self.schedule.noised(t["in/x0"], t["in/noise"], step)


def partial_run(name: str) -> Run:
    fixture = golden(name)
    info, t = fixture.info, golden("sphinx_partial_frames").tensors
    sizes = {k: v for k, v in info["unet_config"].items() if k in Architecture.model_fields}
    network = UNet(Architecture(**sizes)).requires_grad_(False)
    parameters = info["params_from"].split(".")[0]
    network.load_state_dict(golden(parameters).under("param/"))
    condition = SevaCondition(
        context=torch.cat([t["in/uc.crossattn"], t["in/c.crossattn"]]),
        replace=torch.cat([t["in/uc.replace"], t["in/c.replace"]]),
        concat=torch.cat([t["in/uc.concat"], t["in/c.concat"]]),
        dense=t["in/c.dense_vector"],
        scale=guidance_scale(
            "multiview",
            t["in/c2w"],
            t["in/K"],
            t["in/input_frame_mask"],
            info["cfg"],
            info["cfg_min"],
        ),
    )
    schedule = SevaSchedule(noise_levels(), info["num_steps"], step_noise=False)
    return Run(fixture=fixture, network=network, condition=condition, schedule=schedule)


@pytest.fixture(scope="module")
def run() -> Run:
    return partial_run("sphinx_partial_frames")


def check(result: Tensor, run: Run, name: str) -> None:
    tolerance = {k: run.fixture.info["tolerance"][k] for k in ("rtol", "atol")}
    torch.testing.assert_close(result, run.fixture.tensors[name], **tolerance)


def test_the_authors_partial_run_is_reproduced_at_every_recorded_step(run: Run) -> None:
    info = run.fixture.info
    frames, cache = info["num_frames"], LatentCache()
    constants: dict[str, Tensor] = {}
    x = run.held(min(info["start_steps"]))
    for action in info["schedule"]:
        step, active = action["step"], torch.tensor(action["active_frames"])
        if f"mid/x_before_step_{step}" in run.fixture.tensors:
            check(x, run, f"mid/x_before_step_{step}")
        ops: Executor
        if action["mode"] == "full":
            cache.begin_record(step)
            ops = RecordExecutor(frames, cache, constants=constants)
            x = run.advance(x, run.denoise(x, step, run.condition, ops), step)
        else:
            ops = FrameSubsetExecutor(frames, cache, active, constants)
            moved = run.advance(x[active], run.denoise(x[active], step, run.condition, ops), step)
            x = run.held(step + 1)
            x[active] = moved
    check(x, run, "out/final")


def test_the_engines_loop_reproduces_the_authors_result(run: Run) -> None:
    info, t = run.fixture.info, run.fixture.tensors
    starts, steps = info["start_steps"], info["num_steps"]
    actions: list[Full | Partial] = []
    modes = [action["mode"] for action in info["schedule"]] + ["full"]
    for position, action in enumerate(info["schedule"]):
        step = action["step"]
        active = tuple(f for f, start in enumerate(starts) if start <= step)
        if action["mode"] == "full":
            record = modes[position + 1] == "partial"
            actions.append(Full(step=step, next_step=step + 1, frames=active, record=record))
        else:
            actions.append(Partial(step=step, next_step=step + 1, frames=active))
    refinement = Refinement(
        model=run,  # type: ignore[arg-type]
        schedule=Schedule(actions=tuple(actions), starts=tuple(starts), num_steps=steps),
        noise_schedule=run.schedule,
        clean=t["in/x0"],
        noise=t["in/noise"],
        condition=run.condition,
        draw=lambda step: t["in/noise"],
    )
    for _ in refinement.run():
        pass
    check(refinement.x, run, "out/final")


def test_a_partial_step_without_cache_staleness_equals_the_dense_one(run: Run) -> None:
    info = run.fixture.info
    first = next(a for a in info["schedule"] if a["mode"] == "partial")
    step, active = first["step"], torch.tensor(first["active_frames"])
    x = run.held(step)
    cache = LatentCache()
    cache.begin_record(step)
    frames = info["num_frames"]
    run.denoise(x, step, run.condition, RecordExecutor(frames, cache))
    dense = run.denoise(x, step, run.condition, DenseExecutor(frames))
    ops = FrameSubsetExecutor(frames, cache, active)
    partial = run.denoise(x[active], step, run.condition, ops)
    torch.testing.assert_close(partial, dense[active], rtol=1e-4, atol=1e-4)
