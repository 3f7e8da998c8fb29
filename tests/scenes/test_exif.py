"""Focal lengths that photos state."""

import math

import pytest
from PIL import Image

from sphinx_framework.scenes.exif import common_focal, focal_of


def photo(path, size=(400, 300), **tags):
    exif = Image.Exif()
    block = exif.get_ifd(0x8769)
    for number, value in tags.items():
        block[int(number[1:], 16)] = value
    Image.new("RGB", size).save(path, exif=exif)
    return path


def test_the_35_mm_equivalent_compares_diagonals(tmp_path):
    file = photo(tmp_path / "a.jpg", tA405=26)
    assert focal_of(file) == pytest.approx(26 * 500 / math.hypot(36, 24))


def test_the_sensor_says_it_where_there_is_no_equivalent(tmp_path):
    # 100 pixels a millimetre on the original of 800 pixels, of which this is half as large.
    file = photo(tmp_path / "a.jpg", t920A=4.0, tA20E=1000.0, tA210=3, tA002=800)
    assert focal_of(file) == pytest.approx(4 * 100 / 2)


@pytest.mark.parametrize("tags", [{}, {"tA405": 0}, {"t920A": 4.0}, {"t920A": 4.0, "tA20E": 0.0}])
def test_photos_that_say_nothing_have_none(tmp_path, tags):
    assert focal_of(photo(tmp_path / "a.jpg", **tags)) is None


def test_photos_of_several_lenses_have_none_in_common(tmp_path):
    files = [photo(tmp_path / f"{mm}.jpg", tA405=mm) for mm in (24, 50)]
    assert common_focal(files) is None
    assert common_focal(files[:1] * 3) == pytest.approx(focal_of(files[0]))
