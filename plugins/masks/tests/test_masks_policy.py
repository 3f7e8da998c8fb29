import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from sphinx_framework.registry import NoOptions
from sphinx_framework.types import Cameras, CoarseViews, RefineMask, Scene
from sphinx_framework_masks.config import OpacityBlurConfig, OpacityConfig
from sphinx_framework_masks.policy import EverywhereMask, OpacityBlurMask, OpacityMask

CPU = torch.device("cpu")
SIZE = (24, 32)


def scene_of(images: Tensor, targets: int) -> Scene:
    height, width = images.shape[-2:]
    return Scene(
        images=images,
        inputs=_cameras(images.shape[0], height, width),
        targets=_cameras(targets, height, width),
    )


def random_coarse(seed: int, views: int, height: int, width: int) -> CoarseViews:
    generator = torch.Generator().manual_seed(seed)
    coarse_noise = torch.rand(views, 3, height // 4, width // 4, generator=generator)
    smooth = torch.nn.functional.interpolate(
        coarse_noise, size=(height, width), mode="bilinear", align_corners=False
    )
    sharp = torch.rand(views, 3, height, width, generator=generator)
    left = torch.arange(width) < width // 2
    opacity = torch.nn.functional.interpolate(
        torch.rand(views, 1, 3, 3, generator=generator), size=(height, width), mode="bilinear"
    )[:, 0]
    return CoarseViews(images=torch.where(left, sharp, smooth), opacity=opacity)


def _cameras(count: int, height: int, width: int) -> Cameras:
    intrinsics = torch.tensor([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    return Cameras(
        world_from_camera=torch.eye(4).expand(count, 4, 4),
        intrinsics=intrinsics.expand(count, 3, 3),
        image_size=(height, width),
    )


def masked(
    coarse: CoarseViews, *, cluster: int | None = None, seed: int = 7, **options: object
) -> RefineMask:
    policy = OpacityBlurMask(OpacityBlurConfig.model_validate(options), CPU)
    inputs = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(seed))
    return policy.mask(coarse, scene_of(inputs, len(coarse.images)), cluster)


@given(
    seed=st.integers(0, 1000),
    order=st.permutations(range(4)),
    reference=st.sampled_from(["otsu", "inputs"]),
    union=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_masks_follow_a_permutation_of_the_views(
    seed: int, order: list[int], reference: str, union: bool
) -> None:
    coarse = random_coarse(seed, len(order), *SIZE)
    assert coarse.opacity is not None
    permuted = CoarseViews(images=coarse.images[order], opacity=coarse.opacity[order])
    options = {"blur_reference": reference, "union": union}
    assert torch.equal(masked(permuted, **options), masked(coarse, **options)[order])


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_a_view_is_masked_alone_as_among_others(seed: int) -> None:
    coarse = random_coarse(seed, 3, *SIZE)
    assert coarse.opacity is not None
    alone = CoarseViews(images=coarse.images[1:2], opacity=coarse.opacity[1:2])
    assert torch.equal(masked(alone)[0], masked(coarse)[1])


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_authors_polarity_is_the_complement_before_smoothing(seed: int) -> None:
    coarse = random_coarse(seed, 2, *SIZE)
    unknown = CoarseViews(images=coarse.images)
    paper = masked(unknown, smooth=False)
    assert torch.equal(masked(unknown, smooth=False, blur_polarity="authors"), ~paper)


def test_union_marks_in_every_view_what_any_view_marks() -> None:
    coarse = random_coarse(3, 3, *SIZE)
    apart = masked(coarse, smooth=False)
    together = masked(coarse, smooth=False, union=True)
    assert torch.equal(together, apart.any(dim=0).expand_as(apart))


def test_opacity_only_clusters_ignore_blur() -> None:
    coarse = random_coarse(4, 2, *SIZE)
    opacity_only = masked(coarse, cluster=1, opacity_only_clusters=(1,))
    assert torch.equal(opacity_only, masked(coarse, blur=False))
    assert not torch.equal(opacity_only, masked(coarse, cluster=0, opacity_only_clusters=(1,)))


def test_the_opacity_component_equals_opacity_blur_without_blur() -> None:
    coarse = random_coarse(5, 2, *SIZE)
    policy = OpacityMask(OpacityConfig(), CPU)
    mask = policy.mask(coarse, scene_of(coarse.images, 2), None)
    assert torch.equal(mask, masked(coarse, blur=False))


def test_unknown_opacity_contributes_nothing() -> None:
    coarse = random_coarse(6, 2, *SIZE)
    certain = CoarseViews(images=coarse.images, opacity=torch.ones(2, *SIZE))
    assert torch.equal(masked(CoarseViews(images=coarse.images)), masked(certain))


def test_without_any_evidence_every_pixel_is_refined() -> None:
    unknown = CoarseViews(images=random_coarse(7, 2, *SIZE).images)
    assert masked(unknown, blur=False).all()
    assert masked(unknown, cluster=1, opacity_only_clusters=(1,)).all()


def test_no_mask_refines_every_pixel() -> None:
    coarse = random_coarse(8, 3, *SIZE)
    mask = EverywhereMask(NoOptions(), CPU).mask(coarse, scene_of(coarse.images, 3), 0)
    assert mask.shape == (3, *SIZE)
    assert mask.dtype == torch.bool
    assert mask.all()


def test_a_certain_view_has_an_empty_opacity_mask() -> None:
    coarse = CoarseViews(images=torch.rand(2, 3, *SIZE), opacity=torch.ones(2, *SIZE))
    assert not masked(coarse, blur=False).any()


def test_a_hole_is_refined_and_a_speck_is_not() -> None:
    opacity = torch.ones(1, *SIZE)
    opacity[0, 8:16, 8:16] = 0
    opacity[0, 4, 24] = 0
    mask = masked(CoarseViews(images=torch.rand(1, 3, *SIZE), opacity=opacity), blur=False)
    assert mask[0, 10:14, 10:14].all()
    assert not mask[0, :, 20:].any()


def test_small_areas_are_left_out() -> None:
    opacity = torch.ones(2, *SIZE)
    opacity[0, :12] = 0
    opacity[1, :6, :6] = 0
    coarse = CoarseViews(images=torch.rand(2, 3, *SIZE), opacity=opacity)
    mask = masked(coarse, blur=False, min_area=0.1)
    assert mask[0].any()
    assert not mask[1].any()


@pytest.mark.parametrize(
    "options",
    [
        {"close": 4},
        {"density_count": 82},
        {"opacity_below": 1.5},
        {"blur_reference": "inputs", "blur_polarity": "authors"},
        {"colour": "bgr"},
    ],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OpacityBlurConfig.model_validate(options)
