import pytest
import torch

from sphinx_framework_lite.silhouettes import HANGING, doubt_hanging
from sphinx_framework_lite.splat import SOLID, splat_view


def stairs(*depths, rows=8):
    """Columns of these camera-z, ``[1, rows, columns]``, and full confidence."""
    depth = torch.tensor(depths)[None, None].expand(1, rows, -1)
    return depth, torch.ones_like(depth)


def test_a_pixel_between_two_surfaces_is_doubted_and_no_other():
    depth, sure = stairs(2.0, 2.0, 3.0, 4.0, 4.0)
    doubted = doubt_hanging(depth, sure)[0, 4]
    assert doubted.tolist() == pytest.approx([1, 1, HANGING, 1, 1])


def test_a_clean_edge_is_not_doubted():
    depth, sure = stairs(2.0, 2.0, 4.0, 4.0)
    assert torch.equal(doubt_hanging(depth, sure), sure)


@pytest.mark.parametrize("rise", [0.0, 0.01, 0.03])
def test_a_slanted_surface_is_not_doubted(rise):
    depth, sure = stairs(*(2.0 * (1 + rise) ** i for i in range(12)))
    assert torch.equal(doubt_hanging(depth, sure), sure)


def test_little_confidence_stays_what_it_is():
    depth, _ = stairs(2.0, 3.0, 4.0)
    little = torch.full_like(depth, 0.1)
    assert torch.equal(doubt_hanging(depth, little), little)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_units_do_not_matter(scale):
    depth, sure = stairs(2.0, 2.0, 3.0, 4.0, 4.0, 4.1)
    assert torch.equal(doubt_hanging(depth * scale, sure), doubt_hanging(depth, sure))


def test_what_hangs_does_not_hide_what_lies_behind():
    """A thin thing before a wall, with a column that hangs between the two, seen from beside."""
    size = (16, 16)
    depth = torch.full((1, *size), 4.0)
    depth[..., 4:6] = 2.0
    depth[..., 6] = 3.0
    k = torch.tensor([[16.0, 0, 8], [0, 16.0, 8], [0, 0, 1]])
    beside = torch.eye(4)
    beside[0, 3] = -1.0
    sure = torch.ones(1, *size)
    seen = [
        splat_view(
            torch.ones(3, *size),
            depth[0],
            confidence[0],
            torch.eye(4),
            k,
            beside[None],
            k[None],
            size,
        ).depth[0, 8, 11]
        for confidence in (sure, doubt_hanging(depth, sure))
    ]
    assert float(seen[0]) < 3.2
    assert float(seen[1]) > 3.4
    assert HANGING < SOLID
