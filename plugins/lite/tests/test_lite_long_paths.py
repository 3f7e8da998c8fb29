"""Paths longer than one clip: every target is made once, and clips fit together."""

import torch

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.scenes.load import load_scene


def test_a_hundred_targets_are_made_each_once_by_clips_of_the_models_length():
    scene = load_scene("procedural:demo", size=(64, 64), targets="interpolate:100")
    engine = Engine.from_config("lite", device="cpu")
    layouts = engine.components.diffusion.layouts(scene)
    made = sorted(target for layout in layouts for target in layout.targets.values())
    assert made == list(range(100))
    assert max(len(layout) for layout in layouts) <= 24


def test_neighbours_on_two_sides_of_a_cut_are_as_close_as_any():
    scene = load_scene("procedural:demo", size=(64, 64), targets="interpolate:24")
    config = load_config("lite", ["diffusion.max_frames=10"])
    engine = Engine.from_config(config, device="cpu")
    result = engine.render(scene, quality=1.0, mode="fine", seed=0)
    layouts = engine.components.diffusion.layouts(scene)
    assert len(layouts) == 3
    steps = (result.images[1:] - result.images[:-1]).square().mean((1, 2, 3)).sqrt()
    ends = [max(layout.targets.values()) for layout in layouts[:-1]]
    inside = torch.tensor([i for i in range(23) if i not in ends])
    assert float(steps[torch.tensor(ends)].mean()) < 1.5 * float(steps[inside].mean())
