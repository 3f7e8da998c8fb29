import pytest
import torch
from goldens import golden
from render_samples import tolerances, used_harmonics

from sphinx_framework.splatting.harmonics import (
    harmonic_colours,
    harmonics_from_colours,
    mvsplat_basis,
    standard_basis,
    standard_from_mvsplat,
)


def directions(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(random, dim=1)


def test_the_standard_basis_is_orthonormal_on_the_sphere():
    # 200k random directions integrate to about one per cent.
    values = standard_basis(directions(200_000))
    gram = 4 * torch.pi * (values.T @ values) / len(values)
    torch.testing.assert_close(gram, torch.eye(16).double(), rtol=0, atol=0.03)


@pytest.mark.parametrize("count", [1, 4, 9, 16, 25])
def test_converted_coefficients_show_the_same_colours(count):
    generator = torch.Generator().manual_seed(1)
    harmonics = torch.randn(7, 3, count, generator=generator, dtype=torch.float64)
    unit = directions(7)
    used = harmonics[..., :16]
    expected = (used * mvsplat_basis(unit)[:, None, : used.shape[-1]]).sum(-1) + 0.5
    torch.testing.assert_close(
        harmonic_colours(standard_from_mvsplat(harmonics), unit), expected.clamp(min=0)
    )


def test_plain_colours_look_the_same_from_everywhere():
    colours = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).double()
    shown = harmonic_colours(harmonics_from_colours(colours), directions(5))
    torch.testing.assert_close(shown, colours)


def test_colours_match_the_golden():
    fixture = golden("gaussian_rasterizer")
    tensors, harmonics = fixture.tensors, used_harmonics(fixture).double()
    rtol, atol, _ = tolerances(fixture)
    for i, view in enumerate(tensors["in/viewmats"].double()):
        centre = torch.linalg.inv(view)[:3, 3]
        towards = torch.nn.functional.normalize(tensors["in/means"].double() - centre, dim=1)
        visible = tensors["mid/visible"][i] > 0
        colours = harmonic_colours(harmonics, towards).float()
        torch.testing.assert_close(
            colours[visible], tensors["mid/colors"][i][visible], rtol=rtol, atol=atol
        )
