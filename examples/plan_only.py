"""Policies without a model: from quality ratios to a printed schedule."""

import torch

from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.plan import PlanConfig, lower, plan

starts = [None, 20, 35, 50, 35, None]  # two inputs around four targets; 50: served as rendered
region = torch.zeros(6, 4, 4, dtype=torch.bool)
region[1:5, 1:3, 1:3] = True

schedule = plan("selective", starts, 50, PlanConfig(refresh_every=5), region)
schedule = lower(schedule, Capabilities(frame_subset=True, block_sparse=True), CostModel())
print(schedule.text())
print(schedule.frame_steps, "frame steps instead of", 50 * schedule.num_frames)
