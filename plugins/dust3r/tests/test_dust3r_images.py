import re

import pytest
import torch
from goldens import Golden, golden
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework_dust3r.images import (
    PATCH,
    SQUARE_SIZE,
    network_input,
    preparation,
    prepare_photos,
)

OUTPUT = re.compile(r"out/(?P<image>\w+?)_size(?P<size>\d+)(_square_ok(?P<square_ok>[01]))?$")


@pytest.fixture(scope="module")
def photos() -> Golden:
    return golden("dust3r_load_images")


def outputs(photos: Golden) -> list[tuple[Tensor, int, bool, Tensor]]:
    """Photo, size, square_ok and expected pixels of every case in the golden file."""
    cases = []
    for key, value in photos.tensors.items():
        if found := OUTPUT.match(key):
            photo = photos.tensors[f"in/{found['image']}"]
            cases.append((photo, int(found["size"]), found["square_ok"] == "1", value))
    assert cases
    return cases


def test_tensors_in_zero_to_one_equal_the_golden(photos: Golden) -> None:
    for photo, size, square_ok, expected in outputs(photos):
        image = photo.permute(2, 0, 1)[None].float() / 255
        plan = preparation((photo.shape[0], photo.shape[1]), size, square_ok=square_ok)
        difference = (prepare_photos(image, plan)[0].int() - expected.int()).abs().max()
        assert int(difference) <= photos.info["tolerance"]["atol"]


def test_stated_shapes_of_the_cases_are_met(photos: Golden) -> None:
    for case in photos.info["cases"]:
        source = tuple(photos.tensors[f"in/{case['img']}"].shape[:2])
        plan = preparation(source, case["size"], square_ok=case["square_ok"])
        assert [list(plan.size)] == case["true_shape_hw"]


def test_size_tables_are_met(photos: Golden) -> None:
    tables = {k: v for k, v in photos.info.items() if k.startswith("shape_table_size")}
    assert tables
    for name, table in tables.items():
        size = int(name.removeprefix("shape_table_size"))
        for row in table:
            width, height = row["in_wh"]
            assert list(preparation((height, width), size).size) == row["out_hw"]
            if "out_hw_square_ok" in row:
                plan = preparation((height, width), size, square_ok=True)
                assert list(plan.size) == row["out_hw_square_ok"]


def test_network_input_spans_minus_one_to_one() -> None:
    pixels = torch.tensor([0, 255], dtype=torch.uint8).expand(1, 3, 1, 2)
    assert network_input(pixels)[0, 0, 0].tolist() == [-1.0, 1.0]


@settings(deadline=None)
@given(
    height=st.integers(40, 900),
    width=st.integers(40, 900),
    size=st.sampled_from([SQUARE_SIZE, 320, 512]),
    square_ok=st.booleans(),
)
def test_every_size_is_whole_patches_inside_the_resized_photo(
    height: int, width: int, size: int, square_ok: bool
) -> None:
    assume(size * min(height, width) >= 2 * PATCH * max(height, width))
    plan = preparation((height, width), size, square_ok=square_ok)
    assert plan.size[0] % PATCH == plan.size[1] % PATCH == 0 or size == SQUARE_SIZE
    assert plan.top >= 0
    assert plan.left >= 0
    assert plan.top + plan.size[0] <= plan.resized[0]
    assert plan.left + plan.size[1] <= plan.resized[1]


@settings(deadline=None)
@given(height=st.integers(64, 600), width=st.integers(64, 600), size=st.integers(64, 600))
def test_intrinsics_return_from_the_network_image_unchanged(
    height: int, width: int, size: int
) -> None:
    plan = preparation((height, width), max(size, 16 * max(height, width) // min(height, width)))
    intrinsics = torch.tensor([[300.0, 0, 160], [0, 310, 121], [0, 0, 1]], dtype=torch.float64)
    there = plan.intrinsics_to_network(intrinsics)
    torch.testing.assert_close(plan.intrinsics_to_photo(there), intrinsics)


def test_a_pixel_keeps_its_ray_through_resize_and_crop() -> None:
    plan = preparation((360, 640), 128)
    intrinsics = torch.tensor([[300.0, 0, 320], [0, 300, 180], [0, 0, 1]])
    inner = plan.intrinsics_to_network(intrinsics)
    ray = torch.tensor([0.2, -0.1, 1.0])
    u, v, _ = intrinsics @ ray
    moved = inner @ ray
    assert moved[0] == pytest.approx(float(u) * plan.resized[1] / 640 - plan.left, abs=1e-4)
    assert moved[1] == pytest.approx(float(v) * plan.resized[0] / 360 - plan.top, abs=1e-4)


def test_a_photo_too_elongated_for_one_patch_is_refused() -> None:
    with pytest.raises(SceneError, match="nothing to see"):
        preparation((10, 4000), 512)
