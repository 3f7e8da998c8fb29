"""Frame-subset denoising against the partial run of Sphinx's authors."""

from dataclasses import dataclass

import pytest
import torch
from goldens import Golden, golden
from torch import Tensor

from sphinx_framework.engine.loop import Refinement
from sphinx_framework.engine.scheduler import answered
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.policy.schedule import Full, Partial, Schedule
from sphinx_framework.protocols import Executor
from sphinx_framework_seva.conditioning import SevaCondition
from sphinx_framework_seva.config import Architecture
from sphinx_framework_seva.guidance import guidance_scale
from sphinx_framework_seva.model import denoise_rows
from sphinx_framework_seva.network import UNet
from sphinx_framework_seva.noise_levels import noise_levels
from sphinx_framework_seva.sampler import SevaSampler


@dataclass
class Run:
    """The golden's run: network, conditioning and schedule; ``denoise`` as the engine calls it."""

    fixture: Golden
    network: UNet
    condition: SevaCondition
    schedule: SevaSampler

    def denoise(self, x: Tensor, step: int, condition: SevaCondition, ops: Executor) -> Tensor:
        return denoise_rows(
            self.network,
            x,
            index=self.schedule.time_indices[step],
            sigma=self.schedule.sigmas[step],
            condition=condition,
            ops=ops,
        )

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
    schedule = SevaSampler(noise_levels(), info["num_steps"], step_noise=False)
    condition = SevaCondition(
        sampler=schedule,
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
    return Run(fixture=fixture, network=network, condition=condition, schedule=schedule)


@pytest.fixture(scope="module")
def run() -> Run:
    return partial_run("sphinx_partial_frames")


def allowed(run: Run) -> dict[str, float]:
    return {k: run.fixture.info["tolerance"][k] for k in ("rtol", "atol")}


def check(result: Tensor, run: Run, name: str) -> None:
    torch.testing.assert_close(result, run.fixture.tensors[name], **allowed(run))


def engine_schedule(info: dict) -> Schedule:
    """The golden's actions; in full passes only started frames advance, others are held."""
    starts = info["start_steps"]
    modes = [action["mode"] for action in info["schedule"]] + ["full"]
    actions: list[Full | Partial] = []
    for position, action in enumerate(info["schedule"]):
        step = action["step"]
        active = tuple(f for f, start in enumerate(starts) if start <= step)
        if action["mode"] == "full":
            record = modes[position + 1] == "partial"
            actions.append(Full(step=step, next_step=step + 1, frames=active, record=record))
        else:
            assert list(active) == action["active_frames"]
            actions.append(Partial(step=step, next_step=step + 1, frames=active))
    return Schedule(actions=tuple(actions), starts=tuple(starts), num_steps=info["num_steps"])


def test_the_authors_partial_run_is_reproduced_by_the_engines_loop(run: Run) -> None:
    t = run.fixture.tensors
    refinement = Refinement(
        model=run,  # type: ignore[arg-type]
        schedule=engine_schedule(run.fixture.info),
        sampler=run.schedule,
        clean=t["in/x0"],
        noise=t["in/noise"],
        condition=run.condition,
        draw=lambda step: t["in/noise"],
    )
    check(refinement.x, run, f"mid/x_before_step_{min(run.fixture.info['start_steps'])}")
    compared = 0
    for move in answered(refinement.run()):
        name = f"mid/x_before_step_{move.action.next_step}"
        if name in t:
            # The authors' full passes also move frames that have not started, and discard that.
            frames = list(move.action.frames) if move.kind == "full" else slice(None)
            torch.testing.assert_close(refinement.x[frames], t[name][frames], **allowed(run))
            compared += 1
    assert compared == sum(name.startswith("mid/") for name in t) - 1
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
    torch.testing.assert_close(partial, dense[active], **allowed(run))
