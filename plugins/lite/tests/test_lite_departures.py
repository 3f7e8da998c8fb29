"""Departures in places: moved structure, another view's frame, a foreign square."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sphinx_framework_lite.bands import smooth
from sphinx_framework_lite.departures import (
    DEPARTURES,
    REACH,
    aside,
    departures,
    likeness,
    moved,
    structure,
    worst_cells,
)

SIDE = 48


def pictures(count, seed=0, side=SIDE):
    """Smooth random pictures in [0, 1]."""
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    return (0.5 + 1.2 * smooth(noise, 1.5)).clamp(0, 1)


@pytest.fixture(scope="module")
def views():
    return pictures(4)


@pytest.fixture(scope="module")
def solid(views):
    return torch.ones_like(views[:, :1])


def test_a_picture_does_not_depart_from_itself(views, solid):
    length = torch.stack(moved(views, views, solid))
    assert float(length.abs().max()) < 1e-3
    here, better, _, _ = aside(structure(views), structure(views), solid)
    assert float(here.min()) > 0.999
    assert float(better.abs().max()) < 1e-3
    assert float(torch.stack(worst_cells(views, views, solid)).abs().max()) < 1e-3


@settings(max_examples=20, deadline=None)
@given(st.integers(-REACH, REACH), st.integers(-REACH, REACH))
def test_a_shift_of_the_whole_is_found_as_long_as_it_is(down, right):
    views = pictures(2)
    solid = torch.ones_like(views[:, :1])
    fine = structure(views.roll((down, right), (2, 3)))
    _, better, length, _ = aside(fine, structure(views), solid)
    assert length.tolist() == pytest.approx([(down**2 + right**2) ** 0.5] * 2, abs=1e-4)
    assert (float(better.min()) > 0.02) == ((down, right) != (0, 0))


def test_least_squares_tell_a_pixel_from_none(views, solid):
    length = moved(views.roll(1, 3), views, solid)[0]
    assert bool(((length > 0.5) & (length < 1.5)).all())


def test_what_nothing_proves_of_a_view_is_no_shift(views):
    nothing = torch.zeros_like(views[:, :1])
    for values in (moved(views.roll(2, 3), views, nothing), worst_cells(1 - views, views, nothing)):
        assert float(torch.stack(values).abs().max()) < 1e-3


def test_the_frame_of_another_view_is_more_like_that(views, solid):
    photos = pictures(2, seed=1)
    others = structure(torch.cat([views, photos]))
    fine = structure(views)
    more, _ = likeness(fine.roll(1, 0), fine, solid, others)
    assert float(more.min()) > 0.5
    copied, _ = likeness(structure(photos[[0, 1, 0, 1]]), fine, solid, others)
    assert float(copied.min()) > 0.5
    own, _ = likeness(fine, fine, solid, others)
    assert float(own.max()) < -0.5


def test_one_view_alone_is_like_no_other(views, solid):
    fine = structure(views[:1])
    more, _ = likeness(fine, fine, solid[:1], fine[:0])
    assert more.tolist() == [-1.0]


def test_a_small_foreign_square_shows_in_the_worst_cells(views, solid):
    changed = views.clone()
    changed[..., 12:20, 20:28] = 1 - changed[..., 12:20, 20:28]
    worst, _, tenth = worst_cells(changed, views, solid)[:3]
    assert float(worst.min()) > 0.03
    assert bool((worst > 1.5 * tenth).all())


@pytest.mark.parametrize("side", [32, 48, 100])
def test_they_are_finite_numbers_for_every_size_and_picture(side):
    views = pictures(3, side=side)
    solid = torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(3))
    others = torch.cat([views, views[:2]])
    for images in (views, 0 * views, 0 * views + 1, pictures(3, seed=9, side=side)):
        found = departures(images, views, solid, others)
        assert found.shape == (3, DEPARTURES)
        assert bool(torch.isfinite(found).all())
