import pytest
import torch
from goldens import golden

from sphinx_framework.splatting.harmonics import harmonic_colours, standard_from_mvsplat
from sphinx_framework.types import Cameras, Gaussians
from sphinx_framework_mvsplat.decoder import centred, render_views


@pytest.fixture(scope="module")
def case():
    """The golden, its scenes one by one: Gaussians, cameras in pixels, near, far."""
    given = golden("mvsplat_decoder")
    size = given.info["config"]["height"], given.info["config"]["width"]
    extent = torch.tensor([size[1], size[0], 1])[:, None]
    inputs = given.under("in/")
    scenes = [
        (
            Gaussians(
                means=inputs["means"][b],
                covariances=inputs["covariances"][b],
                harmonics=standard_from_mvsplat(inputs["harmonics"][b]),
                opacities=inputs["opacities"][b],
            ),
            Cameras(
                world_from_camera=inputs["extrinsics"][b],
                intrinsics=inputs["intrinsics"][b] * extent,
                image_size=size,
            ),
            inputs["near"][b],
            inputs["far"][b],
        )
        for b in range(len(inputs["means"]))
    ]
    return given, scenes


@pytest.fixture(params=["torch", "auto"])
def backend(request):
    return request.param


def test_colour_opacity_and_depth_agree_with_the_golden(case, backend, stated_tolerances):
    given, scenes = case
    relative, absolute, of_depth = stated_tolerances(given)[:3]
    for b, (gaussians, cameras, near, _) in enumerate(scenes):
        render = render_views(
            gaussians,
            cameras,
            near,
            background=given.tensors["in/background_color"],
            principal_point="centred",
            backend=backend,
        )
        for name, actual, bound in (
            ("color", render.images, absolute),
            ("alpha", render.opacity, absolute),
            ("depth", render.depth, of_depth),
        ):
            expected = given.tensors[f"out/{name}"][b]
            torch.testing.assert_close(actual, expected, rtol=relative, atol=bound)


def test_centred_intrinsics_and_colours_agree_with_the_golden(case, stated_tolerances):
    given, scenes = case
    relative, absolute = stated_tolerances(given)[:2]
    views = len(scenes[0][1])
    for b, (gaussians, cameras, _, _) in enumerate(scenes):
        rows = slice(b * views, (b + 1) * views)
        torch.testing.assert_close(
            centred(cameras).intrinsics, given.tensors["mid/K_pixels"][rows], rtol=relative, atol=0
        )
        for i, expected in enumerate(given.tensors["mid/colors"][rows]):
            ray = torch.nn.functional.normalize(gaussians.means - cameras.centres[i], dim=1)
            actual = harmonic_colours(gaussians.harmonics, ray)
            torch.testing.assert_close(actual, expected, rtol=relative, atol=absolute)


def test_centring_leaves_centred_cameras_as_they_are(case):
    _, scenes = case
    cameras = scenes[0][1]
    extent = torch.tensor([cameras.image_size[1], cameras.image_size[0]]) / 2
    already = (cameras.intrinsics[:, :2, 2] == extent).all(1).nonzero().flatten().tolist()
    if not already:
        pytest.skip("no camera of the golden has a centred principal point")
    torch.testing.assert_close(
        centred(cameras).intrinsics[already], cameras.intrinsics[already], rtol=1e-5, atol=1e-4
    )
