import pytest
import torch
from goldens import golden
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.resize import (
    FITS,
    fit_images,
    fit_intrinsics,
    fit_scene,
    place,
    rounded_size,
)
from sphinx_framework.types import Cameras, Scene

sides = st.integers(8, 48)


def ramp(height: int, width: int) -> torch.Tensor:
    """Red is the horizontal and green the vertical position, as a share of the image."""
    x = ((torch.arange(width) + 0.5) / width).expand(height, width)
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    return torch.stack([x, y, torch.zeros(height, width)])


def sample(image: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """Bilinear value at an image position whose pixel centres lie at half-integers."""
    height, width = image.shape[1:]
    place = torch.tensor([[[[2 * x / width - 1, 2 * y / height - 1]]]])
    return functional.grid_sample(image[None], place, align_corners=False)[0, :, 0, 0]


@settings(deadline=None)
@given(sides, sides, sides, sides, st.sampled_from(FITS), st.floats(0.3, 0.7), st.floats(0.3, 0.7))
def test_a_projected_point_lands_on_the_same_content(h0, w0, h, w, fit, share_x, share_y):
    k = torch.tensor([[1.3 * w0, 0, 0.45 * w0], [0, 1.1 * h0, 0.55 * h0], [0, 0, 1]])
    pixel = torch.tensor([share_x * w0, share_y * h0, 1.0])
    point = torch.linalg.solve(k, pixel)
    fitted = fit_images(ramp(h0, w0)[None], (h, w), fit)[0]
    x, y, _ = (fit_intrinsics(k, (h0, w0), (h, w), fit) @ point).tolist()
    placed = place((h0, w0), (h, w), fit)
    # The resize filter, 2 pixels of the coarser image wide, bends the ramp near the edges.
    reach_x = 3 * max(1, placed.resized[1] / w0)
    reach_y = 3 * max(1, placed.resized[0] / h0)
    left, right = max(0, placed.left), min(w, placed.left + placed.resized[1])
    top, bottom = max(0, placed.top), min(h, placed.top + placed.resized[0])
    if left + reach_x <= x <= right - reach_x and top + reach_y <= y <= bottom - reach_y:
        value = sample(fitted, x, y)[:2]
        torch.testing.assert_close(value, torch.tensor([share_x, share_y]), rtol=0, atol=2e-3)


@settings(deadline=None)
@given(sides, sides, sides, sides)
def test_crop_covers_and_pad_holds_the_canvas(h0, w0, h, w):
    cover = place((h0, w0), (h, w), "crop").resized
    inside = place((h0, w0), (h, w), "pad").resized
    assert min(cover[0] - h, cover[1] - w) == 0
    assert max(inside[0] - h, inside[1] - w) == 0


@settings(deadline=None)
@given(sides, sides, sides, sides, st.sampled_from(FITS))
def test_images_get_the_size_asked_for_and_stay_in_range(h0, w0, h, w, fit):
    noise = torch.rand(2, 3, h0, w0, generator=torch.Generator().manual_seed(0))
    fitted = fit_images(noise, (h, w), fit)
    assert fitted.shape == (2, 3, h, w)
    assert 0 <= float(fitted.min()) <= float(fitted.max()) <= 1


@pytest.mark.parametrize("fit", FITS)
def test_fitting_to_the_own_size_changes_nothing(fit):
    image = ramp(9, 13)[None]
    k = torch.tensor([[10.0, 0, 6], [0, 11, 4], [0, 0, 1]])
    assert torch.equal(fit_images(image, (9, 13), fit), image)
    assert torch.equal(fit_intrinsics(k, (9, 13), (9, 13), fit), k)


def test_padding_is_mid_grey_and_centred():
    fitted = fit_images(torch.zeros(1, 3, 4, 8), (8, 8), "pad")[0, 0, :, 0]
    assert fitted.tolist() == [0.5, 0.5, 0, 0, 0, 0, 0.5, 0.5]


def test_a_whole_scene_follows():
    cameras = Cameras(
        world_from_camera=torch.eye(4)[None],
        intrinsics=torch.tensor([[[10.0, 0, 8], [0, 10, 4], [0, 0, 1]]]),
        image_size=(8, 16),
    )
    scene = Scene(
        images=ramp(8, 16)[None],
        inputs=cameras,
        targets=cameras,
        target_images=ramp(8, 16)[None],
    )
    fitted = fit_scene(scene, (4, 4))
    fitted.validate()
    assert fitted.target_images is not None
    assert torch.equal(fitted.target_images, fitted.images)
    torch.testing.assert_close(
        fitted.targets.intrinsics[0], torch.tensor([[5.0, 0, 2], [0, 5, 2], [0, 0, 1]])
    )


@pytest.mark.parametrize(
    ("source", "short_side", "expected"),
    [((33, 57), 64, (64, 128)), ((100, 100), None, (128, 128)), ((20, 90), None, (64, 64))],
)
def test_sides_are_rounded_to_the_nearest_multiple(source, short_side, expected):
    assert rounded_size(source, multiple_of=64, short_side=short_side) == expected


@pytest.mark.parametrize("size", [(0, 8), (8, -1)])
def test_sizes_below_one_pixel_are_refused(size):
    with pytest.raises(SceneError, match="sizes are at least 1"):
        place((8, 8), size, "crop")


def test_an_unknown_fit_is_refused():
    with pytest.raises(SceneError, match="unknown fit 'zoom'"):
        place((8, 8), (4, 4), "zoom")


def test_cropped_intrinsics_match_the_golden():
    fixture = golden("seva_conditioning")
    for case in fixture.info["image_cases"]:
        name = f"image{case['index']}"
        rgb, k = fixture.tensors[f"in/{name}.rgb_uint8"], fixture.tensors[f"in/{name}.K"].clone()
        source = (rgb.shape[0], rgb.shape[1])
        expected = fixture.tensors[f"out/{name}.image"].shape[-2:]
        if case["K_kind"] == "norm":
            k *= torch.tensor([source[1], source[0], 1.0])[:, None]
        size = (int(expected[0]), int(expected[1]))
        if case["size_WH"] is None:
            assert size == rounded_size(
                source, multiple_of=case["size_stride"], short_side=case["L_short"]
            )
        fitted = fit_intrinsics(k, source, size)
        normalised = fitted / torch.tensor([size[1], size[0], 1.0])[:, None]
        tolerance = fixture.info["tolerance"]
        torch.testing.assert_close(
            normalised, fixture.tensors[f"out/{name}.K_normalised"], **tolerance
        )
