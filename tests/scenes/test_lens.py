"""Undistorted photos show points where a pinhole camera has them."""

import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.lens import corner_shift, undistorted
from sphinx_framework.scenes.load import load_scene

SIZE = (96, 128)
K = torch.tensor([[100.0, 0, 62], [0, 104.0, 50], [0, 0, 1]], dtype=torch.float64)
small = st.floats(-0.15, 0.15)


def spots(points):
    """A picture with a soft spot at each point, counted from the corner of the image."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    image = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / 8) for u, v in points)
    return torch.from_numpy(np.stack([image] * 3).astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(k1=small, k2=st.floats(-0.05, 0.05), p1=st.floats(-0.01, 0.01), p2=st.floats(-0.01, 0.01))
def test_a_projected_point_lies_where_the_pinhole_has_it(k1, k2, p1, p2):
    terms = {"k1": k1, "k2": k2, "p1": p1, "p2": p2}
    rays = np.array([[-0.25, -0.2, 1.0], [0.25, 0.1, 1.0], [0.0, 0.25, 1.0]])
    seen, _ = cv2.projectPoints(
        rays, np.zeros(3), np.zeros(3), K.numpy(), np.array([k1, k2, p1, p2, 0])
    )
    image = undistorted(spots(seen[:, 0]), K, terms)
    for ray in rays:
        u, v, _ = K.numpy() @ ray
        y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
        near = np.hypot(x - u, y - v) < 9
        weight = image[0].numpy() * near
        found = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        assert np.abs(found - (u, v)).max() < 0.6


def test_distortion_that_moves_nothing_leaves_the_pixels(tmp_path):
    image = torch.rand(3, *SIZE)
    assert undistorted(image, K, {"k1": 1e-4}) is image
    assert corner_shift(K, SIZE, {"k1": 0.0}) == 0


@pytest.mark.parametrize("terms", [{"k1": 1e6}, {"k2": -1e300}, {"k1": 0.1, "k4": 0.1}])
def test_distortion_that_no_lens_has_is_refused(bring, terms):
    with pytest.raises(SceneError, match=r"frames\[0\]"):
        bring(lambda c, _: c.update(terms))


def test_a_distorted_scene_keeps_its_distortion_through_import(command, clean):
    content = json.loads((clean / "transforms.json").read_text())
    content.update(k1=-0.3, p2=0.01)
    (clean / "transforms.json").write_text(json.dumps(content))
    found = load_scene(clean)
    assert any("distortion was undone in 12 photos" in text for text in found.warnings)
    stored = np.asarray(Image.open(clean / "images/0.png")).transpose(2, 0, 1) / 255
    assert np.abs(found.images[0].numpy() - stored).max() > 0.02
    ended = command("import", clean, "--out", command.folder / "imported")
    assert ended.code == 0
    assert "was undone" not in ended.told  # the photos are copied as they are
    again = load_scene(command.folder / "imported")
    assert torch.equal(again.images, found.images)


def test_only_photos_that_are_read_are_counted(bring):
    found = bring(lambda c, _: c.update(k1=-0.3), targets="interpolate:2")
    assert any("distortion was undone in 2 photos" in text for text in found.warnings)
    one = bring(lambda c, _: c["frames"][0].update(k1=-0.3), targets="interpolate:2")
    assert any("frames[0]: lens distortion was undone in 1 photo;" in t for t in one.warnings)
