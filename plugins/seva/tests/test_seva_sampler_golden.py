"""Noise levels, denoiser, guidance and sampling against the goldens."""

from collections.abc import Callable

import pytest
import torch
from goldens import Golden, golden
from torch import Tensor

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.protocols import SolverStep
from sphinx_framework_seva.conditioning import SevaCondition
from sphinx_framework_seva.config import Architecture
from sphinx_framework_seva.denoiser import denoised, scaled, with_inputs
from sphinx_framework_seva.guidance import guidance_scale, guided
from sphinx_framework_seva.model import denoise_rows
from sphinx_framework_seva.network import UNet
from sphinx_framework_seva.noise_levels import (
    cumulative_alphas,
    grid,
    noise_levels,
    quantised,
    step_indices,
)
from sphinx_framework_seva.sampler import SevaSampler


@pytest.fixture(scope="module")
def sampler() -> Golden:
    return golden("seva_sampler")


def alphas(fixture: Golden) -> Tensor:
    s = fixture.info["settings"]
    return cumulative_alphas(s["num_timesteps"], s["linear_start"], s["linear_end"])


def levels(fixture: Golden) -> Tensor:
    return noise_levels(alphas(fixture), fixture.info["settings"]["log_snr_shift"])


def check(result: Tensor, fixture: Golden, name: str, tolerance: str = "") -> None:
    allowed = fixture.info["tolerance"]
    allowed = allowed[tolerance] if tolerance else {k: allowed[k] for k in ("rtol", "atol")}
    torch.testing.assert_close(result, fixture.tensors[name], **allowed)


def test_noise_levels_match(sampler: Golden) -> None:
    check(alphas(sampler), sampler, "out/alphas_cumprod")
    check(levels(sampler), sampler, "out/denoiser_table")


def test_default_noise_levels_are_those_of_the_specification() -> None:
    stated = torch.tensor([84.9163, 29.982, 13.5336, 6.3394, 2.2580, 0.0])
    torch.testing.assert_close(grid(50, noise_levels())[::10], stated, rtol=0, atol=6e-5)


def test_grids_match(sampler: Golden) -> None:
    names = [name for name in sampler.tensors if name.startswith("out/sigmas_")]
    assert names
    for name in names:
        steps, _, variant = name.removeprefix("out/sigmas_").partition("_")
        table = noise_levels(alphas(sampler), 0.0) if variant == "noshift" else levels(sampler)
        check(grid(int(steps), table), sampler, name)


def test_time_indices_match_and_quantisation_finds_them_back(sampler: Golden) -> None:
    names = [n for n in sampler.tensors if n.startswith(("out/idx_", "out/timesteps_"))]
    assert names
    for name in names:
        steps = int(name.rsplit("_", 1)[1])
        expected = sampler.tensors[name].tolist()
        descending = sorted(expected, reverse=True)
        table = levels(sampler)
        assert step_indices(steps, len(table)) == descending
        assert SevaSampler(table, steps).time_indices == descending


def test_denoiser_matches(sampler: Golden) -> None:
    t, table = sampler.tensors, levels(sampler)
    index = quantised(t["in/den_sigma"], table)
    assert torch.equal(index, t["out/den_idx"])
    x = with_inputs(t["in/den_x"], t["in/den_replace"])
    for row, sigma in enumerate(table[index].tolist()):
        one = x[row : row + 1]
        network_input = scaled(one, sigma)
        clean = denoised(one, t["in/den_netout"][row : row + 1], sigma)
        allowed = {k: sampler.info["tolerance"][k] for k in ("rtol", "atol")}
        torch.testing.assert_close(network_input[0], t["out/den_network_input"][row], **allowed)
        torch.testing.assert_close(clean[0], t["out/den_denoised"][row], **allowed)


def scale(fixture: Golden, guider: str, poses: str) -> Tensor:
    s, t = fixture.info["settings"], fixture.tensors
    return guidance_scale(
        guider, t[poses], t["in/K"], t["in/input_frame_mask"], s["cfg"], s["cfg_min"]
    )


def test_guidance_scales_and_results_match(sampler: Golden) -> None:
    unconditional, conditional = sampler.tensors["in/guider_x"].chunk(2)
    multiview = scale(sampler, "multiview", "in/guider_c2w")
    check(multiview, sampler, "out/guide_multiview_scale")
    check(guided(unconditional, conditional, multiview), sampler, "out/guide_multiview")
    temporal = scale(sampler, "multiview_temporal", "in/c2w")
    check(guided(unconditional, conditional, temporal), sampler, "out/guide_temporal")


def test_vanilla_guidance_matches_with_the_one_scale_that_the_golden_used(sampler: Golden) -> None:
    t = sampler.tensors
    unconditional, conditional = t["in/guider_x"].chunk(2)
    ratio = (t["out/guide_vanilla"] - unconditional) / (conditional - unconditional)
    cfg = float(ratio.median())
    values = guidance_scale(
        "vanilla", t["in/guider_c2w"], t["in/K"], t["in/input_frame_mask"], cfg, 0.0
    )
    check(guided(unconditional, conditional, values), sampler, "out/guide_vanilla")


def test_single_euler_steps_match(sampler: Golden) -> None:
    names = [n for n in sampler.tensors if n.startswith("out/step_")]
    assert names
    t = sampler.tensors
    # The single steps belong to the grid whose time steps are stored too.
    steps = max(len(value) for name, value in t.items() if name.startswith("out/idx_"))
    schedule = SevaSampler(levels(sampler), steps, step_noise=False)
    prediction = guided(*t["in/step_denoised"].chunk(2), scale(sampler, "multiview", "in/c2w"))
    for name in names:
        step = int(name.rsplit("_", 1)[1])
        x = schedule.raised_state(t["in/step_x"], step, t["in/step_eps"])
        move = SolverStep(step=step, next_step=step + 1, previous=None, draw=torch.Tensor)
        check(schedule.advance(x, prediction, move), sampler, name)


def condition(fixture: Golden, guider: str, sampler: SevaSampler) -> SevaCondition:
    t = fixture.tensors
    assert torch.equal(t["in/c.dense_vector"], t["in/uc.dense_vector"])
    return SevaCondition(
        sampler=sampler,
        context=torch.cat([t["in/uc.crossattn"], t["in/c.crossattn"]]),
        replace=torch.cat([t["in/uc.replace"], t["in/c.replace"]]),
        concat=torch.cat([t["in/uc.concat"], t["in/c.concat"]]),
        dense=t["in/c.dense_vector"],
        scale=scale(fixture, guider, "in/c2w"),
    )


@pytest.fixture(scope="module")
def network(sampler: Golden) -> UNet:
    values = sampler.info["unet_config"]
    sizes = {k: v for k, v in values.items() if k in Architecture.model_fields}
    unet = UNet(Architecture(**sizes)).requires_grad_(False)
    parameters = sampler.info["params_from"].split(".")[0]
    unet.load_state_dict(golden(parameters).under("param/"))
    return unet


def sample(
    fixture: Golden,
    network: UNet,
    steps: int,
    guider: str,
    noise_of: Callable[[int], Tensor] | None,
) -> Tensor:
    """The engine's walk: raise, denoise, advance; ``noise_of`` gives the noise of a step."""
    schedule = SevaSampler(levels(fixture), steps, step_noise=noise_of is not None)
    given = condition(fixture, guider, schedule)
    ops = DenseExecutor(fixture.info["num_frames"])
    x = fixture.tensors["in/noise"] * (1 + schedule.sigmas[0] ** 2) ** 0.5
    if noise_of is not None:
        x = schedule.raised_state(x, 0, noise_of(0))
    for step in range(steps):
        clean = denoise_rows(
            network,
            x,
            index=schedule.time_indices[step],
            sigma=schedule.sigmas[step],
            condition=given,
            ops=ops,
        )
        move = SolverStep(
            step=step,
            next_step=step + 1,
            previous=None,
            draw=lambda step=step: noise_of(step + 1),  # type: ignore[misc]
        )
        x = schedule.advance(x, clean, move)
    return x


@pytest.mark.parametrize(
    ("suffix", "guider", "noisy"),
    [
        ("eps0", "multiview", False),
        ("eps", "multiview", True),
        ("temporal_eps0", "multiview_temporal", False),
    ],
)
def test_whole_sampling_runs_match(
    sampler: Golden, network: UNet, suffix: str, guider: str, noisy: bool
) -> None:
    noise = sampler.tensors["in/eps"]
    steps = len(noise)
    name = next(n for n in sampler.tensors if n == f"out/sample{steps}_{suffix}")
    result = sample(sampler, network, steps, guider, noise.__getitem__ if noisy else None)
    looser = next(k for k, v in sampler.info["tolerance"].items() if isinstance(v, dict))
    check(result, sampler, name, tolerance=looser)
