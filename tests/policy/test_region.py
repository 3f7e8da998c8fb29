import pytest
import torch
from goldens import golden
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.policy.region import dilated, pixels_of, pooled, tiles_of


def single(height, width, *pixels):
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    for y, x in pixels:
        mask[0, y, x] = True
    return mask


def kinds_of_masks(fixture):
    ending = ".smoothed"
    names = [k.removeprefix("out/") for k in fixture.tensors if k.endswith(ending)]
    return [name.removesuffix(ending) for name in names]


def test_pooled_masks_are_the_authors_at_every_level():
    fixture = golden("sphinx_masks")
    compared = 0
    for kind in kinds_of_masks(fixture):
        smoothed = fixture.tensors[f"out/{kind}.smoothed"]
        for key, expected in fixture.under(f"out/{kind}.down").items():
            assert torch.equal(pooled(smoothed, int(key))[0], expected), (kind, key)
            compared += 1
    assert compared


def test_block_masks_are_the_authors_blocks_of_the_finest_level():
    fixture = golden("sphinx_masks")
    compared = 0
    for kind in kinds_of_masks(fixture):
        smoothed = fixture.tensors[f"out/{kind}.smoothed"]
        finest = min(int(key) for key in fixture.under(f"out/{kind}.down"))
        for key, expected in fixture.under(f"out/{kind}.block").items():
            tiles = tiles_of(smoothed, finest, int(key), dilation=0)
            assert torch.equal(tiles, expected), (kind, key)
            compared += 1
    assert compared


def test_any_marked_pixel_marks_its_cell_even_in_the_last_incomplete_one():
    cells = pooled(single(10, 9, (0, 3), (9, 8)), 4)
    assert cells.shape == (1, 3, 3)
    assert cells.nonzero().tolist() == [[0, 0, 0], [0, 2, 2]]


def test_dilation_grows_by_a_square_of_that_radius():
    grown = dilated(single(7, 7, (3, 3)), 2)
    assert int(grown.sum()) == 25
    assert bool(grown[0, 1, 1])
    assert not bool(grown[0, 0, 3])


def test_dilation_by_nothing_changes_nothing():
    mask = single(5, 5, (2, 2))
    assert torch.equal(dilated(mask, 0), mask)


def test_tiles_count_the_dilation_in_latent_cells():
    mask = single(64, 64, (31, 31))  # latent cell (3, 3) of 8 pixels, tile (0, 0) of 4 cells
    assert tiles_of(mask, 8, 4, dilation=0).nonzero().tolist() == [[0, 0, 0]]
    assert int(tiles_of(mask, 8, 4, dilation=1).sum()) == 4


def test_frames_do_not_mark_each_other():
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[1] = True
    tiles = tiles_of(mask, 4, 2, dilation=1)
    assert not tiles[0].any()
    assert tiles[1].all()


@given(
    seed=st.integers(0, 99),
    factor=st.sampled_from([2, 4]),
    tile=st.sampled_from([1, 2]),
    dilation=st.integers(0, 2),
)
def test_the_pixels_of_the_tiles_cover_every_marked_pixel(seed, factor, tile, dilation):
    side = factor * tile
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(2, 3 * side, 4 * side, generator=generator) < 0.02
    covered = pixels_of(tiles_of(mask, factor, tile, dilation), side)
    assert covered.shape == mask.shape
    assert bool(covered[mask].all())


@pytest.mark.parametrize("dilation", [0, 1, 3])
def test_an_empty_mask_stays_empty(dilation):
    assert not tiles_of(torch.zeros(1, 16, 16, dtype=torch.bool), 4, 2, dilation).any()
