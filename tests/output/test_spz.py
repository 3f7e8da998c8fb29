"""Compressed Gaussians as another program's reader finds them."""

import numpy as np
import pytest
import spz_by_the_book
import torch

from sphinx_framework.splatting.ply import gaussian_columns


def test_compressed_gaussians_are_read_by_the_formats_description_alone(saved, splats):
    pytest.importorskip("gsply")
    read, stored = spz_by_the_book.read(saved / "scene.spz"), gaussian_columns(splats)
    assert np.abs(read["places"] - stored.means.numpy()).max() < 1e-5
    assert np.abs(read["opacities"] - torch.sigmoid(stored.logits).numpy()).max() < 0.6 / 255
    held = stored.log_scales.numpy().clip(-10, 5.9)
    assert np.abs(read["log_scales"] - held).max() < 0.6 / 16
    colours = stored.harmonics[..., 0].numpy()
    limit = 0.5 / spz_by_the_book.COLOUR
    assert np.abs(read["colours"] - colours.clip(-limit, limit)).max() < 0.6 / 255 / 0.15
    # A rotation and its negative are the same.
    turns = torch.nn.functional.normalize(stored.rotations, dim=1).numpy()
    assert np.abs((read["quaternions"] * turns).sum(axis=1)).min() > 1 - 1e-5
    rest = stored.harmonics[..., 1:].transpose(1, 2).numpy().clip(-1, 1)
    assert read["harmonics"].shape == rest.shape
    # The format rounds these to fewer bits than a byte has.
    assert np.abs(read["harmonics"] - rest).max(initial=0) < 0.07
