import torch
from torch import Tensor
from torch.nn import functional

from sphinx_framework_masks.blur import blurry_by_otsu, grey_levels, otsu_threshold, to_uint8
from sphinx_framework_masks.sharpness import blurrier_than_inputs

HEIGHT, WIDTH = 64, 96
WALL = 64


def photos(seed: int, count: int = 2) -> Tensor:
    """Sharp-edged texture of several scales, and a flat wall on the right."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.zeros(count, 3, HEIGHT, WIDTH)
    for cells in (4, 8, 16, 32):
        noise = torch.rand(count, 1, cells, cells, generator=generator)
        images += functional.interpolate(noise, size=(HEIGHT, WIDTH), mode="nearest") / 4
    images[..., WALL:] = 0.5
    return images


def blurred(images: Tensor, window: int = 7) -> Tensor:
    padded = functional.pad(images, (window // 2,) * 4, mode="reflect")
    return functional.avg_pool2d(padded, window, 1)


def grey(images: Tensor) -> Tensor:
    return grey_levels(to_uint8(images))


def test_colours_are_rounded_to_the_nearest_level() -> None:
    images = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 1.0])[:, None, None, None].expand(4, 3, 1, 1)
    assert to_uint8(images)[:, 0, 0, 0].tolist() == [0, 0, 1, 255]


def test_the_channel_order_swaps_red_and_blue() -> None:
    generator = torch.Generator().manual_seed(0)
    images = to_uint8(torch.rand(2, 3, 24, 32, generator=generator))
    assert torch.equal(grey_levels(images, "bgr"), grey_levels(images.flip(1), "rgb"))


def test_grey_pictures_keep_their_levels() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(grey_levels(levels)[0], levels[0, 0])


def test_two_clear_classes_are_split_between_them() -> None:
    levels = torch.cat([torch.full((1, 4, 8), 40), torch.full((1, 4, 8), 200)], 1).to(torch.uint8)
    assert 40 <= float(otsu_threshold(levels)) < 200


def test_a_view_without_detail_is_blurry_throughout() -> None:
    assert blurry_by_otsu(torch.full((1, 16, 16), 90, dtype=torch.uint8)).all()


def test_the_flat_half_of_a_view_is_the_blurry_class() -> None:
    images = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    images[..., 48:] = 0.5
    blurry = blurry_by_otsu(grey(images))[0].float()
    assert blurry[:, 52:].mean() > 0.95
    assert blurry[:, :44].mean() < 0.5


def test_a_view_as_sharp_as_the_inputs_marks_next_to_nothing_where_otsu_marks_a_lot() -> None:
    view, inputs = grey(photos(1)), grey(photos(2))
    assert blurrier_than_inputs(view, inputs, below=0.5).float().mean() < 0.02
    assert blurry_by_otsu(view).float().mean() > 0.3


def test_a_blurred_view_is_marked_where_it_has_structure() -> None:
    marked = blurrier_than_inputs(grey(blurred(photos(1))), grey(photos(2)), below=0.5).float()
    assert marked[..., : WALL - 16].mean() > 0.9
    assert not marked[..., WALL + 16 :].any()


def test_only_the_blurred_part_of_a_view_is_marked() -> None:
    sharp = photos(3)
    partly = torch.where(torch.arange(WIDTH) < WALL // 2, blurred(sharp), sharp)
    marked = blurrier_than_inputs(grey(partly), grey(sharp), below=0.5).float()
    assert marked[..., : WALL // 2 - 12].mean() > 0.9
    assert marked[..., WALL // 2 + 12 :].mean() < 0.05


def test_a_lower_share_marks_less() -> None:
    view, inputs = grey(blurred(photos(1), 3)), grey(photos(2))
    strict, loose = (blurrier_than_inputs(view, inputs, below) for below in (0.3, 0.8))
    assert (strict <= loose).all()
    assert strict.sum() < loose.sum()


def test_inputs_without_structure_give_no_reference() -> None:
    flat = torch.full((2, HEIGHT, WIDTH), 90, dtype=torch.uint8)
    assert not blurrier_than_inputs(grey(photos(1)), flat, below=0.5).any()
