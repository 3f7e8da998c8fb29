"""Networks are traced whole under every executor; what compilers make of it: ``-m compile``."""

import pytest
import torch
from networks import MixedModel, random_clip

from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.testing.oracle import relative_error

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
FRAMES = 3


@pytest.fixture
def model():
    return MixedModel(("conv", "norm", "frame", "frames", "clip", "frame_conv", "across"))


@pytest.fixture
def recorded(model):
    x, condition = random_clip(FRAMES, (8, 8))
    cache = LatentCache()
    cache.begin_record(0)
    with torch.no_grad():
        model.denoise(x, 0, condition, RecordExecutor(FRAMES, cache, tiles=True))
    return cache


def executors(name, cache):
    if name == "dense":
        return DenseExecutor(FRAMES)
    if name == "frames":
        return FrameSubsetExecutor(FRAMES, cache, torch.tensor([0, 2]))
    mask = torch.zeros(FRAMES, 2, 2, dtype=torch.bool)
    mask[1, 0, 1] = mask[2, 1, 0] = True
    return BlockSparseExecutor(FRAMES, cache, TileSet.from_mask(mask))


@pytest.mark.parametrize("name", ["dense", "frames", "tiles"])
def test_a_compiled_step_equals_the_eager_one(model, recorded, name):
    x, condition = random_clip(FRAMES, (8, 8))
    ops = executors(name, recorded)
    compiled = torch.compile(model.denoise, backend="eager")
    with torch.no_grad():
        eager = model.denoise(ops.maps(x), 1, condition, ops)
        result = compiled(ops.maps(x), 1, condition, ops)
    assert relative_error(result, eager) < 1e-5
