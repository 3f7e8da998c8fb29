"""Every mistake about one step, one grid or one size: kind, method, change, check."""

import planted_fifth as fifth
import torch
from planted_mistakes import start_steps

ANY_STEP = "every_step_of_the_usual_grid"
SHARES = "starts_are_shares"

FIFTH = [
    ("diffusion", "denoise", fifth.at(37, lambda came: came * float("nan")), ANY_STEP),
    ("diffusion", "denoise", fifth.at(7, lambda came: came[:1]), ANY_STEP),
    ("diffusion", "denoise", fifth.at(11, lambda came: came.roll(1, 0)), ANY_STEP),
    ("diffusion", "denoise", fifth.at(17, lambda came: 0.25 * came), ANY_STEP),
    ("diffusion", "denoise", fifth.at(0, torch.zeros_like), ANY_STEP),
    ("diffusion", "denoise", fifth.at(49, lambda came: -came), ANY_STEP),
    ("diffusion", "denoise", fifth.clamps_at_step_31, ANY_STEP),
    ("diffusion", "denoise", fifth.noise_at_step_23, ANY_STEP),
    ("steps", "start_steps", start_steps(fifth.up_to_step_40), SHARES),
    ("steps", "start_steps", start_steps(fifth.up_to_step_50), SHARES),
    ("steps", "start_steps", start_steps(fifth.step_40_of_any_grid), SHARES),
    ("scene_reader", "read", fifth.pictures_alone, "an_option_is_used"),
    ("scene_reader", "read", fifth.width_before_height, "an_option_is_used"),
]
