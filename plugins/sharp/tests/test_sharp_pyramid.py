"""Tiles are cut and joined so that nothing is lost, doubled or moved, whatever their layout."""

import pytest
import torch
from torch.nn import functional as F

from sphinx_framework_sharp.config import NetworkConfig
from sphinx_framework_sharp.pyramid import SlidingPyramid


def pyramid_of(img_size: int, patch: int, overlap: bool) -> SlidingPyramid:
    return SlidingPyramid(
        NetworkConfig.model_validate(
            {
                "vit": {
                    "embed_dim": 4, "depth": 2, "num_heads": 1, "img_size": img_size,
                    "patch_size": patch, "num_classes": 2,
                },
                "use_patch_overlap": overlap,
                "encoder_dims_tail": [4, 4, 4, 4],
                "hook_ids": [0, 1, 1, 1],
                "monodepth_dims_decoder": [4, 4, 4, 4, 4],
            }
        )
    )  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("img_size", "patch", "overlap"),
    [(24, 1, True), (72, 3, True), (48, 16, False), (20, 4, False), (7, 7, False)],
)
def test_joined_tiles_are_the_plane(img_size, patch, overlap, batch) -> None:
    """With the mean of each patch as its token, a level's map is the level, averaged."""
    pyramid = pyramid_of(img_size, patch, overlap)
    images = torch.rand(batch, 3, 4 * img_size, 4 * img_size)
    levels = pyramid.tiles(images)
    counts = (25, 9, 1) if overlap else (16, 4, 1)
    assert [len(tiles) for tiles in levels] == [batch * count for count in counts]
    for level, factor in ((0, 1), (1, 2)):
        plane = images
        if factor == 2:  # bilinear halving without antialiasing is the mean of two by two
            plane = F.avg_pool2d(images, 2)
        joined = pyramid._merged(F.avg_pool2d(levels[level], patch), level, batch)
        torch.testing.assert_close(joined, F.avg_pool2d(plane, patch))
    quarter = images[..., 1::4, 1::4] + images[..., 1::4, 2::4]
    quarter = (quarter + images[..., 2::4, 1::4] + images[..., 2::4, 2::4]) / 4
    torch.testing.assert_close(levels[2], quarter)


def test_features_have_the_sides_that_the_decoders_expect() -> None:
    pyramid = pyramid_of(20, 4, overlap=False).requires_grad_(False)
    features = pyramid(torch.rand(2, 3, 80, 80))
    assert [tuple(f.shape) for f in features] == [(2, 4, s * 5, s * 5) for s in (32, 16, 8, 4, 2)]
