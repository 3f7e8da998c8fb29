import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sphinx_framework.policy.plausibility import LEAST, plausibility, plausible_scores

SIZES = [(96, 96), (64, 128), (192, 192)]


def picture(seed: int, size: tuple[int, int]) -> torch.Tensor:
    """1/f noise: the spectrum of photos, made of nothing."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, *size)
    for cells in (4, 8, 16, 32):
        part = torch.randn(1, 3, cells, cells, generator=generator) / cells
        total += functional.interpolate(part, size, mode="bilinear")
    total += 0.01 * torch.randn(1, 3, *size, generator=generator)
    return (0.5 + total).clamp(0, 1)


def blocks(seed: int, size: tuple[int, int], side: int) -> torch.Tensor:
    cells = (-(-size[0] // side), -(-size[1] // side))
    colours = torch.rand(1, 3, *cells, generator=torch.Generator().manual_seed(seed))
    large = colours.repeat_interleave(side, 2).repeat_interleave(side, 3)
    return large[..., : size[0], : size[1]]


@pytest.mark.parametrize("size", SIZES)
@given(seed=st.integers(0, 1000), gain=st.floats(0.15, 1.0), offset=st.floats(0.0, 1.0))
def test_pictures_keep_their_whole_score_whatever_their_light(size, seed, gain, offset) -> None:
    image = picture(seed, size) * gain + offset * (1 - gain)
    assert float(plausibility(image)) == 1.0


@pytest.mark.parametrize("size", SIZES)
@given(colour=st.tuples(*[st.floats(0, 1)] * 3))
def test_one_colour_is_no_picture(size, colour) -> None:
    image = torch.tensor(colour)[None, :, None, None].expand(1, 3, *size)
    assert float(plausibility(image)) == pytest.approx(LEAST)


@pytest.mark.parametrize("size", SIZES)
@given(seed=st.integers(0, 1000), side=st.integers(2, 24))
def test_a_lattice_of_flat_blocks_of_any_size_is_no_picture(size, seed, side) -> None:
    assert float(plausibility(blocks(seed, size, side))) == pytest.approx(LEAST)


@pytest.mark.parametrize("size", SIZES)
@given(seed=st.integers(0, 1000), kind=st.sampled_from(["uniform", "normal", "grey"]))
def test_white_noise_is_no_picture(size, seed, kind) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 1 if kind == "grey" else 3, *size, generator=generator)
    if kind == "normal":
        image = (0.5 + 0.2 * torch.randn(1, 3, *size, generator=generator)).clamp(0, 1)
    assert float(plausibility(image.expand(1, 3, *size))) < 0.1


def test_a_letterboxed_picture_is_one() -> None:
    image = torch.zeros(1, 3, 192, 96)
    image[..., 50:142, :] = picture(3, (92, 96))
    assert float(plausibility(image)) == 1.0


def test_scores_of_pictures_are_not_touched_not_even_nan() -> None:
    images = torch.cat([picture(0, (96, 96)), picture(1, (96, 96)), torch.zeros(1, 3, 96, 96)])
    scores = torch.tensor([61.25, torch.nan, torch.nan])
    kept = plausible_scores(scores, images)
    assert float(kept[0]) == 61.25
    assert kept[1].isnan()
    assert 0 < float(kept[2]) < 1


def test_every_image_is_judged_by_itself() -> None:
    images = torch.cat([picture(0, (96, 96)), torch.zeros(1, 3, 96, 96), blocks(1, (96, 96), 8)])
    alone = torch.cat([plausibility(image[None]) for image in images])
    assert torch.equal(plausibility(images), alone)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_a_line_of_pixels_is_judged_without_an_error(size) -> None:
    assert torch.isfinite(plausibility(torch.rand(2, 3, *size))).all()
