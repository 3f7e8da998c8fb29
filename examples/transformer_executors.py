"""One transformer, written once: all of it, some of its frames, some of its tiles.

The network is `sphinx_framework.testing.fake_transformer`: patches, a text in joint attention,
registers, a bias within frames, causal attention along time. Random weights: numbers, no pictures.
"""

import torch

from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.passes import frames_pass, full_pass, tiles_pass
from sphinx_framework.executors.tiles import TileSet, gather
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.testing.pipeline import fake_engine

engine = fake_engine(diffusion="fake-transformer")
model, scene = engine.components.diffusion, fake_scene(targets=4, size=(64, 64))
layout = model.layouts(scene)[0]
coarse = engine.components.regression.predict(scene)
clean = model.encode(layout.stacked(scene.images, coarse.images))
sampler = model.sampler(50)
asked = clean, 20, model.condition(scene, coarse, layout, clean, sampler)

cache = LatentCache()
full = full_pass(model, *asked, cache=cache, tiles=True).answer()
frames = torch.tensor([1, 3])
some = frames_pass(model, *asked, cache=cache, frames=frames).answer()
print("frames 1 and 3 alone differ by", float((some - full[frames]).abs().max()))

active = torch.zeros(len(layout), 4, 4, dtype=torch.bool)
active[2, 1, 2:] = True
tiles = TileSet.from_mask(active)
patches = tiles_pass(model, *asked, cache=cache, tiles=tiles).answer()
print("two tiles alone differ by", float((patches - gather(full, tiles)).abs().max()))

result = engine.render(scene, quality=0.9, mode="selective", seed=0)
print(result.report.schedule)
