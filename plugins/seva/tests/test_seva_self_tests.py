"""The self-tests that the reference's description asks of a correct implementation (its 11.4).

Zero staleness of frames and tiles, and all frames active: ``test_seva_executors``. The reference
schedule: ``test_seva_partial_golden``. Here: full masks, and the order of the frames, dense and
with a stale cache. (Slot 0 sets the cameras' axes: ``test_seva_model``.)
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sphinx_framework.config import ComponentConfig, PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import RenderResult
from sphinx_framework.executors.block_sparse import BlockSparseExecutor
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.executors.frame_subset import FrameSubsetExecutor
from sphinx_framework.executors.latent_cache import LatentCache
from sphinx_framework.executors.record import RecordExecutor
from sphinx_framework.executors.tiles import TileSet
from sphinx_framework.plugin import Capabilities
from sphinx_framework.policy.evidence_config import EvidenceConfig
from sphinx_framework.testing.fakes import FakeConfig, FakeQuality, FakeRegression, fake_scene
from sphinx_framework.testing.oracle import relative_error
from sphinx_framework.types import CoarseViews, QualityReport, RefineMask, Scene, StartSteps
from sphinx_framework_seva.conditioning import SevaCondition
from sphinx_framework_seva.model import SevaModel

Clip = Callable[..., tuple[Tensor, SevaCondition]]
CPU = torch.device("cpu")
TOLERANCE = 1e-4
FRAMES = 5


class GivenSteps:
    """Frames start one after the other."""

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        return StartSteps(steps=tuple(range(len(report.ratio))))


class GivenMask:
    """The left ``share`` of every frame."""

    def __init__(self, share: float) -> None:
        self.share = share

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        mask = torch.zeros(coarse.images.shape[0], *coarse.images.shape[2:], dtype=torch.bool)
        mask[:, :, : int(self.share * mask.shape[2])] = True
        return mask


def rendered(model: SevaModel, mode: str, share: float) -> RenderResult:
    fakes = FakeConfig()
    components = Components(
        regression=FakeRegression(fakes, CPU),
        diffusion=model,
        quality=FakeQuality(fakes, CPU),
        mask=GivenMask(share),
        steps=GivenSteps(),
        capabilities=Capabilities(frame_subset=True, block_sparse=True),
    )
    roles = ("regression", "diffusion", "quality", "mask", "steps")
    config = PipelineConfig(
        num_steps=6,
        pipeline={role: ComponentConfig(use="given") for role in roles},
        evidence=EvidenceConfig(guard=False),  # random weights keep nothing of a render
    )
    scene = fake_scene(3, 2, (64, 48))
    return Engine(components, config).render(scene, mode=mode, quality=1.0, seed=1)


def test_full_masks_give_the_same_request_as_frame_mode(model: SevaModel) -> None:
    by_frames = rendered(model, "fine", 1.0)
    by_full_masks = rendered(model, "selective", 1.0)
    assert by_full_masks.report.counts.partial_steps > 0
    torch.testing.assert_close(by_full_masks.images, by_frames.images, rtol=0, atol=1e-4)
    by_half_masks = rendered(model, "selective", 0.5)
    assert float((by_half_masks.images - by_frames.images).abs().max()) > 1e-2


def permuted(condition: SevaCondition, order: list[int]) -> SevaCondition:
    def branches(values: Tensor) -> Tensor:
        return values.unflatten(0, (2, -1))[:, order].flatten(0, 1)

    return replace(
        condition,
        context=branches(condition.context),
        replace=branches(condition.replace),
        concat=branches(condition.concat),
        dense=condition.dense[order],
        scale=condition.scale[order],
    )


def stale_step(
    model: SevaModel, old: Tensor, new: Tensor, condition: SevaCondition, active: Tensor
) -> Tensor:
    """A partial step one step after a full pass of another state; zero where nothing is active.

    active: frames ``[T]``, or tiles ``[T y x]``.
    """
    by_tiles = active.ndim == 3
    cache = LatentCache()
    cache.begin_record(20)
    model.denoise(old, 20, condition, RecordExecutor(len(old), cache, tiles=by_tiles))
    out = torch.zeros_like(new)
    if by_tiles:
        tiles = TileSet.from_mask(active)
        sparse = BlockSparseExecutor(len(old), cache, tiles)
        result = model.denoise(sparse.maps(new), 21, condition, sparse)
        for row, (frame, y, x) in enumerate(active.nonzero().tolist()):
            side = model.tile
            out[frame, :, y * side : (y + 1) * side, x * side : (x + 1) * side] = result[row]
        return out
    rows = active.nonzero().flatten()
    subset = FrameSubsetExecutor(len(old), cache, rows)
    out[rows] = model.denoise(new[rows], 21, condition, subset)
    return out


@pytest.mark.parametrize("by_tiles", [False, True])
@given(order=st.permutations(range(FRAMES)), seed=st.integers(0, 20))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_stale_partial_steps_do_not_depend_on_the_order_of_the_frames(
    model: SevaModel, clip: Clip, by_tiles: bool, order: list[int], seed: int
) -> None:
    old, condition = clip(model)
    new, _ = clip(model, seed=1)
    generator = torch.Generator().manual_seed(seed)
    grid = (FRAMES, old.shape[2] // model.tile, old.shape[3] // model.tile)
    active = torch.rand(grid if by_tiles else FRAMES, generator=generator) < 0.5
    active.view(FRAMES, -1)[seed % FRAMES, 0] = True
    straight = stale_step(model, old, new, condition, active)
    result = stale_step(model, old[order], new[order], permuted(condition, order), active[order])
    assert relative_error(result, straight[order]) < TOLERANCE


@given(order=st.permutations(range(5)))
@settings(max_examples=5, deadline=None, derandomize=True)
def test_permuting_the_frames_permutes_the_prediction(
    model: SevaModel, clip: Clip, order: list[int]
) -> None:
    x, condition = clip(model)
    straight = model.denoise(x, 12, condition, DenseExecutor(5))
    result = model.denoise(x[order], 12, permuted(condition, order), DenseExecutor(5))
    assert relative_error(result, straight[order]) < TOLERANCE
