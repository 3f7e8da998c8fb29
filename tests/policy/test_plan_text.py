"""Plans as text, compared with golden files made from the authors' k tables.

After an intended change: ``SPHINX_UPDATE_GOLDEN=1 pytest tests/policy/test_plan_text.py``, then
read the difference before committing it.
"""

import json
import os
from pathlib import Path

import pytest
import torch

from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.cost import CostModel
from sphinx_framework.policy.plan import PlanConfig, lower, plan

GOLDEN = Path(__file__).parents[1] / "golden"
RULES = json.loads((GOLDEN / "authors_k_tables.json").read_text())
CASES = [(quality, c) for quality, t in RULES["tables"].items() for c in range(len(t))]
NUM_STEPS = 50
RATIOS = (0.35, 0.62, 0.75, 0.83, 0.91, 0.955, 0.985, 1.02)
REFERENCE = PlanConfig(refresh_every=5, full_tail=10, max_start=40, input_start=40)
OURS = PlanConfig()
FEW_STEPS = PlanConfig(stride=5, refresh_every=2)
DEAR_TILES = CostModel(tiles_slope=3.0)


def start_step(ratio, rows):
    """The authors' rule: first row that holds the ratio, 0 below all, ``serve`` from 1 on."""
    if ratio >= 1:
        return RULES["serve"]
    return next((k for low, high, k in rows if low <= ratio < high), 0)


def some_region(slots):
    """Slot ``i`` marks its first ``i`` tiles of eight."""
    region = torch.zeros(slots, 2, 4, dtype=torch.bool)
    for slot in range(slots):
        region[slot].view(-1)[:slot] = True
    return region


def plan_text(quality, cluster):
    starts = [start_step(ratio, RULES["tables"][quality][cluster]) for ratio in RATIOS]
    ours = [NUM_STEPS if start == RULES["serve"] else start for start in starts]
    slots, served = [None, *starts, None], [None, *ours, None]
    region = some_region(len(slots))
    able = Capabilities(frame_subset=True, block_sparse=True)
    texts = {
        "reference (fine)": plan("fine", slots, NUM_STEPS, REFERENCE),
        "coarse": plan("coarse", served, NUM_STEPS, OURS),
        "fine": plan("fine", served, NUM_STEPS, OURS),
        "selective": plan("selective", served, NUM_STEPS, OURS, region),
        "selective, lowered": lower(
            plan("selective", served, NUM_STEPS, OURS, region), able, DEAR_TILES
        ),
        "fine, every 5th step": plan("fine", served, NUM_STEPS, FEW_STEPS),
        "diffusion, all steps all the same": plan("diffusion", served, NUM_STEPS, FEW_STEPS),
    }
    lines = [
        f"quality {quality} %, cluster {cluster}",
        f"ratios {' '.join(f'{ratio:g}' for ratio in RATIOS)}",
        f"starts {' '.join(map(str, starts))}",
    ]
    for name, schedule in texts.items():
        lines += ["", f"{name}: {schedule.full_steps} full, {schedule.partial_steps} partial"]
        lines.append(schedule.text())
        lines += [f"note: {note}" for note in schedule.notes]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("quality", "cluster"), CASES)
def test_the_plan_reads_as_the_golden_file(quality, cluster):
    path = GOLDEN / f"plan_{quality}_cluster{cluster}.txt"
    text = plan_text(quality, cluster)
    if os.environ.get("SPHINX_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
