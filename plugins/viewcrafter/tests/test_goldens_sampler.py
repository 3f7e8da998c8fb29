"""Noise tables, DDIM grids, guidance and single moves against the authors' numbers."""

import re
from typing import Any

import pytest
import torch
from goldens import Golden, golden

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.protocols import SolverStep
from sphinx_framework_viewcrafter.config import DiffusionConfig
from sphinx_framework_viewcrafter.guidance import Guidance
from sphinx_framework_viewcrafter.sampler import DdimSampler
from sphinx_framework_viewcrafter.training_schedule import TrainingSchedule

pytestmark = pytest.mark.usefixtures("one_thread")


def training(fixture: Golden, base_scale: float) -> TrainingSchedule:
    config = fixture.info["config"]
    return TrainingSchedule.from_config(
        DiffusionConfig(
            train_steps=config["timesteps"],
            linear_start=config["linear_start"],
            linear_end=config["linear_end"],
            zero_terminal_snr=config["rescale_betas_zero_snr"],
            base_scale=base_scale,
        )
    )


def test_noise_tables_equal_the_checkpoints(close: Any) -> None:
    fixture = golden("viewcrafter_sampler")
    for key, expected in fixture.tensors.items():
        if not key.startswith("out/buffer_"):
            continue
        name, _, base = key.removeprefix("out/buffer_").partition("_base")
        usual = fixture.info["config"]["step"]["base_scale"]
        tables = training(fixture, float(base or usual)).buffers()
        close(tables[name], expected, fixture)


def test_grids_equal_the_authors_for_every_spacing_count_eta_and_base(close: Any) -> None:
    fixture = golden("viewcrafter_sampler")
    for count, eta, spacing, base in fixture.info["config"]["variants"]:
        grid = DdimSampler(count, training(fixture, base), eta=eta, spacing=spacing)
        expected = {
            key.rpartition("/")[2]: value.flip(0)
            for key, value in fixture.tensors.items()
            if key.startswith(f"out/S{count}_eta{eta}_{spacing}_base{base}/")
        }
        assert torch.equal(torch.tensor(grid.timesteps), expected["timesteps"])
        after = [*grid.alphas[1:], grid.end_alpha]
        after_scales = [*grid.scales[1:], grid.end_scale]
        sigmas = [grid.sigma(step, step + 1) for step in range(count)]
        close(torch.tensor(grid.alphas), expected["alphas"], fixture)
        close(torch.tensor(after), expected["alphas_prev"], fixture)
        noise_levels = (1 - torch.tensor(grid.alphas, dtype=torch.float64)).sqrt().float()
        close(noise_levels, expected["sqrt_one_minus_alphas"], fixture)
        close(torch.tensor(grid.scales), expected["scale_arr"], fixture)
        close(torch.tensor(after_scales), expected["scale_arr_prev"], fixture)
        close(torch.tensor(sigmas), expected["sigmas"], fixture)


def test_guidance_and_its_rescale_equal_the_authors(to_rows: Any, close: Any) -> None:
    fixture = golden("viewcrafter_sampler")
    options, tensors = fixture.info["config"]["step"], fixture.tensors
    clips, channels, frames = tensors["in/v_cond"].shape[:3]
    ops = DenseExecutor(frames)
    for rescale, key in ((0.0, "mid/v_cfg"), (options["guidance_rescale"], "mid/v_cfg_rescaled")):
        guidance = Guidance(options["cfg_scale"], rescale, channels)
        # The deviations are those of a clip, and the executor holds one clip.
        for clip in range(clips):
            unconditional, conditional, expected = (
                to_rows(tensors[name][clip : clip + 1])
                for name in ("in/v_uncond", "in/v_cond", key)
            )
            close(guidance(unconditional, conditional, ops), expected, fixture)


def test_single_moves_equal_the_authors(to_rows: Any, close: Any) -> None:
    fixture = golden("viewcrafter_sampler")
    options, tensors = fixture.info["config"]["step"], fixture.tensors
    x, v = to_rows(tensors["in/x"]), to_rows(tensors["mid/v_cfg_rescaled"])
    noise = to_rows(tensors["in/noise"])
    found = [re.fullmatch(r"out/step_eta(.+)_index(\d+)/x_prev", key) for key in tensors]
    moves = [(float(m[1]), int(m[2]), m[0]) for m in found if m]
    assert moves
    for eta, index, key in moves:
        grid = DdimSampler(options["S"], training(fixture, options["base_scale"]), eta=eta)
        step = grid.num_steps - 1 - index
        denoised = grid.denoised(x, v, step)
        network_x0 = denoised * grid.scales[step]
        close(network_x0, to_rows(tensors[f"mid/step_index{index}/x0_before_scale"]), fixture)
        noise_share = (1 - grid.alphas[step]) ** 0.5
        found_noise = (x - grid.alphas[step] ** 0.5 * network_x0) / noise_share
        close(found_noise, to_rows(tensors[f"mid/step_index{index}/eps"]), fixture)
        next_scale = [*grid.scales[1:], grid.end_scale][step]
        rescaled = to_rows(tensors[key.replace("x_prev", "pred_x0_rescaled")])
        close(denoised * next_scale, rescaled, fixture)
        move = SolverStep(step=step, next_step=step + 1, previous=None, draw=lambda: noise)
        changed = {}
        if step == 0 and eta == 1:
            changed["atol"] = fixture.info["tolerance"]["first_step_eta1"]["atol"]
        close(grid.advance(x, denoised, move), to_rows(tensors[key]), fixture, **changed)
