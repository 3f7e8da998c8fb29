import re

import pytest
import torch
from goldens import Golden, golden
from torch import Tensor

from sphinx_framework.policy.region import pooled, tiles_of
from sphinx_framework_masks.blur import (
    blurry_by_otsu,
    grey_levels,
    inverted_energy,
    laplacian_energy,
    otsu_threshold,
)
from sphinx_framework_masks.combine import any_evidence
from sphinx_framework_masks.opacity import low_opacity
from sphinx_framework_masks.smoothing import closed, opened, smoothed


@pytest.fixture(scope="module")
def masks() -> Golden:
    return golden("sphinx_masks")


@pytest.fixture(scope="module")
def images(masks: Golden) -> Tensor:
    return masks.tensors["in/rgb_uint8"].permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def isolated_pixels(masks: Golden) -> float:
    """Share of pixels that may differ behind the truncation to uint8."""
    stated = re.search(r"<=\s*([\d.]+)\s*%", masks.info["exactness"])
    assert stated is not None
    return float(stated[1]) / 100


def evidence(masks: Golden, rule: str) -> Tensor:
    low = low_opacity(masks.tensors["in/alpha"], 0.5)
    blurry = masks.tensors["out/blur_mask01"].bool()
    kinds = {
        "opacity_only": [low],
        "union_as_reference": [low, ~blurry],
        "union_blurry": [low, blurry],
    }
    return any_evidence(kinds[rule], like=low).any(dim=0, keepdim=True)


def rules(masks: Golden) -> list[str]:
    suffix = ".coherent_raw"
    found = [k[len("out/") : -len(suffix)] for k in masks.tensors if k.endswith(suffix)]
    assert found
    return found


def test_grey_levels_equal_the_authors_bgr_formula(masks: Golden, images: Tensor) -> None:
    assert torch.equal(grey_levels(images, "bgr"), masks.tensors["mid/gray"])


def test_inverted_energy_differs_in_isolated_pixels_at_most(
    masks: Golden, isolated_pixels: float
) -> None:
    inverted = inverted_energy(laplacian_energy(masks.tensors["mid/gray"]))
    assert (inverted != masks.tensors["mid/inverted_u8"]).float().mean() <= isolated_pixels


def test_otsu_threshold_is_exact(masks: Golden) -> None:
    threshold = otsu_threshold(masks.tensors["mid/inverted_u8"])
    assert torch.equal(threshold, masks.tensors["mid/otsu_threshold"])


def test_blur_mask_differs_in_isolated_pixels_at_most(
    masks: Golden, images: Tensor, isolated_pixels: float
) -> None:
    blurry = blurry_by_otsu(grey_levels(images, "bgr"))
    assert (blurry != masks.tensors["out/blur_mask01"].bool()).float().mean() <= isolated_pixels


def test_blur_mask_from_the_golden_levels_is_exact(masks: Golden) -> None:
    levels = masks.tensors["mid/inverted_u8"]
    blurry = levels > otsu_threshold(levels)[:, None, None]
    assert torch.equal(blurry, masks.tensors["out/blur_mask01"].bool())


def test_combination_over_views_is_exact(masks: Golden) -> None:
    for rule in rules(masks):
        assert torch.equal(evidence(masks, rule), masks.tensors[f"out/{rule}.coherent_raw"])


def test_every_stage_of_the_smoothing_is_exact(masks: Golden) -> None:
    for rule in rules(masks):
        raw = masks.tensors[f"out/{rule}.coherent_raw"]
        assert torch.equal(closed(raw, 5), masks.tensors[f"mid/{rule}.closed"])
        assert torch.equal(opened(closed(raw, 5), 3), masks.tensors[f"mid/{rule}.opened"])
        assert torch.equal(smoothed(raw), masks.tensors[f"out/{rule}.smoothed"])


def test_masked_area_is_exact(masks: Golden) -> None:
    for rule in rules(masks):
        raw = masks.tensors[f"out/{rule}.coherent_raw"]
        area = smoothed(raw).double().mean() * 100
        assert float(area) == pytest.approx(
            float(masks.tensors[f"out/{rule}.masked_area_percent"]),
            rel=masks.info["tolerance"]["rtol"],
        )


def test_pooled_latent_masks_are_exact(masks: Golden) -> None:
    for rule in rules(masks):
        smooth = masks.tensors[f"out/{rule}.smoothed"]
        for factor, expected in masks.under(f"out/{rule}.down").items():
            assert torch.equal(pooled(smooth, int(factor))[0], expected)


def test_blocks_of_latent_cells_are_exact(masks: Golden) -> None:
    for rule in rules(masks):
        smooth = masks.tensors[f"out/{rule}.smoothed"]
        finest = min(int(factor) for factor in masks.under(f"out/{rule}.down"))
        for side, expected in masks.under(f"out/{rule}.block").items():
            blocks = tiles_of(smooth, latent_factor=finest, tile=int(side), dilation=0)
            assert torch.equal(blocks, expected)
