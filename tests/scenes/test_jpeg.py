"""Colours of JPEGs: nearer to the picture where a file holds them finely, else every decoder's."""

import numpy as np
import pytest
import torch
from PIL import Image

from sphinx_framework.scenes.images import read_image
from sphinx_framework.testing.scenes import room_scene

SIZE = (48, 64)


@pytest.fixture(scope="module")
def picture():
    large = room_scene(2, (2 * SIZE[0], 2 * SIZE[1])).images[:1]
    return (torch.nn.functional.avg_pool2d(large, 2)[0] * 255).round().byte()


def saved(picture, folder, **options):
    path = folder / "photo.jpg"
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path, **options)
    return path


def elsewhere(path):
    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1) / 255


def error(image, picture):
    return float((image - picture / 255).square().mean())


@pytest.mark.parametrize("quality", [95, 98])
@pytest.mark.parametrize("progressive", [False, True])
def test_fine_colours_at_half_resolution_come_nearer_to_the_picture(
    picture, tmp_path, quality, progressive
):
    path = saved(picture, tmp_path, quality=quality, subsampling=2, progressive=progressive)
    assert error(read_image(path), picture) < 0.9 * error(elsewhere(path), picture)


@pytest.mark.parametrize(
    "options",
    [{"quality": 80, "subsampling": 2}, {"quality": 95, "subsampling": 0}],
)
def test_other_colours_are_those_of_every_decoder(picture, tmp_path, options):
    path = saved(picture, tmp_path, **options)
    assert torch.equal(read_image(path), elsewhere(path))


def test_odd_sizes_and_grey_ones_are_those_of_every_decoder(picture, tmp_path):
    path = saved(picture[:, :-1, :-1], tmp_path, quality=95, subsampling=2)
    assert torch.equal(read_image(path), elsewhere(path))
    Image.fromarray(picture[0].numpy()).save(path, quality=95)
    assert torch.equal(read_image(path), elsewhere(path))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_an_orientation_turns_the_same_pixels(picture, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(picture, tmp_path, quality=95, subsampling=2, exif=exif)
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    stored = read_image(path, upright=False)
    assert torch.allclose(read_image(path), stored.rot90(turns, (1, 2)), atol=1.01 / 255)


def test_a_grey_picture_keeps_no_tint(tmp_path):
    grey = torch.full((3, 16, 16), 130, dtype=torch.uint8)
    path = saved(grey, tmp_path, quality=95, subsampling=2)
    assert torch.equal((read_image(path) * 255).round().byte(), grey)
