import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.engine.composite import composited, feathered, with_carried_detail


def square(size=16, top=4, bottom=12, left=4, right=12):
    mask = torch.zeros(1, size, size, dtype=torch.bool)
    mask[0, top:bottom, left:right] = True
    return mask


def images(seed):
    return torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 99), radius=st.integers(0, 5), density=st.floats(0, 1))
def test_outside_of_the_mask_the_coarse_pixels_are_exact(seed, radius, density):
    mask = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(seed)) < density
    result = composited(images(1), images(2), mask, radius)
    outside = ~mask[:, None].expand_as(result)
    assert torch.equal(result[outside], images(2)[outside])


def test_a_failed_refinement_cannot_reach_pixels_outside_of_the_mask():
    broken = torch.full((1, 3, 16, 16), float("nan"))
    result = composited(broken, images(2), square(), 2)
    outside = ~square()[:, None].expand_as(result)
    assert torch.equal(result[outside], images(2)[outside])


def test_without_feathering_the_inside_is_exactly_the_refined():
    mask = square()
    result = composited(images(1), images(2), mask, 0)
    inside = mask[:, None].expand_as(result)
    assert torch.equal(result[inside], images(1)[inside])


def test_deep_inside_the_refined_pixels_are_exact():
    result = composited(images(1), images(2), square(), 2)
    assert torch.equal(result[:, :, 6:10, 6:10], images(1)[:, :, 6:10, 6:10])


def test_weights_rise_linearly_from_the_border_inwards():
    weight = feathered(square(), 4)[0, 8]
    assert weight.tolist() == pytest.approx(
        [0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0]
    )


def test_the_edge_of_the_image_is_no_border():
    weight = feathered(square(top=0, bottom=16, left=0, right=8), 4)[0, 8]
    assert weight[:5].tolist() == pytest.approx([1, 1, 1, 1, 1])
    assert weight[7] == pytest.approx(0.25)


def test_a_full_mask_is_the_refined_image():
    mask = torch.ones(1, 16, 16, dtype=torch.bool)
    assert torch.equal(composited(images(1), images(2), mask, 4), images(1))


@given(seed=st.integers(0, 99), radius=st.integers(0, 5))
def test_blending_stays_between_the_two_images(seed, radius):
    mask = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(seed)) < 0.5
    result = composited(images(1), images(2), mask, radius)
    low, high = torch.minimum(images(1), images(2)), torch.maximum(images(1), images(2))
    assert bool(((result >= low - 1e-6) & (result <= high + 1e-6)).all())


@given(seed=st.integers(0, 99))
def test_unchanged_latents_give_opaque_pixels_of_the_render_back(seed):
    lossy = images(seed + 100)
    result = with_carried_detail(lossy, images(seed), lossy, torch.ones(1, 16, 16))
    assert torch.allclose(result, images(seed), atol=1e-6)


def test_where_nothing_was_splatted_no_detail_is_carried():
    opacity = torch.ones(1, 16, 16)
    opacity[:, 4:8] = 0
    result = with_carried_detail(images(1), images(2), images(3), opacity)
    assert torch.equal(result[:, :, 4:8], images(1)[:, :, 4:8])
    expected = images(1) + images(2) - images(3)
    assert torch.allclose(result[:, :, 8:], expected[:, :, 8:], atol=1e-6)
