from importlib.util import find_spec

import pytest
import torch
from goldens import Golden, golden
from hypothesis import given, settings
from hypothesis import strategies as st
from render_samples import (
    as_float32,
    make_cameras,
    make_gaussians,
    tolerances,
    used_harmonics,
)

from sphinx_framework.errors import ConfigError
from sphinx_framework.splatting.contract import GaussianRender
from sphinx_framework.splatting.gaussians import choose_backend, render_gaussians
from sphinx_framework.splatting.harmonics import harmonics_from_colours
from sphinx_framework.splatting.reference import project
from sphinx_framework.types import Cameras, Gaussians

BACKENDS = ["torch", "numba"]


def assert_same(one: GaussianRender, other: GaussianRender, tolerance: float) -> None:
    """Equal up to rounding; a splat that ends on a pixel may show there or not (1/255)."""
    for name in ("images", "opacity", "depth"):
        error = (getattr(one, name).double() - getattr(other, name).double()).abs()
        assert int((error > tolerance).sum()) <= 2
        assert float(error.max()) < 0.05


def assert_matches(render: GaussianRender, fixture: Golden, lead: tuple[int, ...] = ()) -> None:
    rtol, atol, atol_depth = tolerances(fixture)
    expected = {name: fixture.tensors[f"out/{name}"][lead] for name in ("color", "alpha", "depth")}
    torch.testing.assert_close(render.images.float(), expected["color"], rtol=rtol, atol=atol)
    torch.testing.assert_close(render.opacity.float(), expected["alpha"], rtol=rtol, atol=atol)
    torch.testing.assert_close(render.depth.float(), expected["depth"], rtol=rtol, atol=atol_depth)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_renders_match_the_rasterizer_golden(backend, dtype):
    fixture = golden("gaussian_rasterizer")
    tensors, config = fixture.tensors, fixture.info["config"]
    render = render_gaussians(
        Gaussians(
            means=tensors["in/means"].to(dtype),
            covariances=tensors["in/covariances"].to(dtype),
            harmonics=used_harmonics(fixture).to(dtype),
            opacities=tensors["in/opacities"].to(dtype),
        ),
        Cameras(
            world_from_camera=torch.linalg.inv(tensors["in/viewmats"].double()).to(dtype),
            intrinsics=tensors["in/Ks"].to(dtype),
            image_size=(config["height"], config["width"]),
        ),
        background=tensors["in/backgrounds"],
        near=tensors["in/near_plane"],
        dilation=config["dilation"],
        backend=backend,
    )
    assert_matches(render, fixture)


@pytest.mark.parametrize("backend", BACKENDS)
def test_renders_match_the_mvsplat_decoder_golden(backend):
    fixture = golden("mvsplat_decoder")
    tensors, config = fixture.tensors, fixture.info["config"]
    intrinsics = tensors["mid/K_pixels"].unflatten(0, (config["batch"], -1))
    for scene in range(config["batch"]):
        render = render_gaussians(
            Gaussians(
                means=tensors["in/means"][scene],
                covariances=tensors["in/covariances"][scene],
                harmonics=used_harmonics(fixture)[scene],
                opacities=tensors["in/opacities"][scene],
            ),
            Cameras(
                world_from_camera=tensors["in/extrinsics"][scene],
                intrinsics=intrinsics[scene],
                image_size=(config["height"], config["width"]),
            ),
            background=tensors["in/background_color"],
            near=0.2 * tensors["in/near"][scene],
            backend=backend,
        )
        assert_matches(render, fixture, lead=(scene,))


def test_projected_means_and_covariances_match_the_golden():
    fixture = golden("gaussian_rasterizer")
    tensors, config = fixture.tensors, fixture.info["config"]
    rtol, atol, _ = tolerances(fixture)
    scene = Gaussians(
        means=tensors["in/means"].double(),
        covariances=tensors["in/covariances"].double(),
        harmonics=tensors["in/harmonics"].double(),
        opacities=tensors["in/opacities"].double(),
    )
    cameras = Cameras(
        world_from_camera=torch.linalg.inv(tensors["in/viewmats"].double()),
        intrinsics=tensors["in/Ks"].double(),
        image_size=(config["height"], config["width"]),
    )
    for i in range(len(cameras)):
        near = float(tensors["in/near_plane"][i])
        splats = project(scene, cameras[i], near, config["dilation"])
        drawn = (tensors["mid/visible"][i] > 0) & (tensors["in/opacities"] >= config["alpha_min"])
        rows = drawn.nonzero()[:, 0]
        view = cameras[i].camera_from_world[0]
        z = scene.means @ view[2, :3] + view[2, 3]
        rows = rows[z[rows].argsort(stable=True)]
        covariances = tensors["mid/cov2d"][i][rows].flatten(1)[:, [0, 1, 3]]
        for found, expected in (
            (splats.depths, tensors["mid/z"][i][rows]),
            (splats.means, tensors["mid/means2d"][i][rows]),
            (splats.covariances, covariances),
        ):
            torch.testing.assert_close(found.float(), expected, rtol=rtol, atol=atol)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 60),
    st.integers(0, 1000),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([1, 4, 9, 16, 25]),
    st.integers(1, 3),
)
def test_numba_renders_what_the_reference_renders(count, seed, size, coefficients, views):
    scene = as_float32(make_gaussians(count, seed, coefficients))
    double = Gaussians(
        means=scene.means.double(),
        covariances=scene.covariances.double(),
        harmonics=scene.harmonics.double(),
        opacities=scene.opacities.double(),
    )
    cameras = make_cameras(views, size, seed)
    background = torch.tensor([0.2, 0.4, 0.9])
    fast = render_gaussians(scene, cameras, background=background, near=1.0, backend="numba")
    slow = render_gaussians(double, cameras, background=background, near=1.0, backend="torch")
    assert fast.images.shape == (views, 3, *size)
    assert_same(fast, slow, tolerance=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_views_do_not_depend_on_each_other(gaussians, cameras, backend):
    scene = as_float32(gaussians)
    near = torch.tensor([0.1, 3.5, 4.0])
    together = render_gaussians(scene, cameras, near=near, backend=backend)
    order = [2, 0, 1]
    shuffled = render_gaussians(scene, cameras[order], near=near[order], backend=backend)
    for name in ("images", "opacity", "depth"):
        assert torch.equal(getattr(shuffled, name), getattr(together, name)[order])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_number_of_threads_changes_nothing(gaussians, cameras, backend, monkeypatch):
    scene = as_float32(gaussians)
    expected = render_gaussians(scene, cameras[0], backend=backend)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 3)
    threaded = render_gaussians(scene, cameras[0], backend=backend)
    assert torch.equal(threaded.images, expected.images)
    many = render_gaussians(scene, cameras, backend=backend)
    assert torch.equal(many.images[:1], expected.images)


@pytest.mark.parametrize("backend", BACKENDS)
def test_opacity_lies_in_zero_to_one_and_carries_the_background(gaussians, cameras, backend):
    scene = as_float32(gaussians)
    black = render_gaussians(scene, cameras, backend=backend)
    white = render_gaussians(scene, cameras, background=torch.ones(3), backend=backend)
    assert 0 <= float(black.opacity.min()) <= float(black.opacity.max()) <= 1
    through = (1 - black.opacity)[:, None].expand_as(black.images)
    torch.testing.assert_close(white.images - black.images, through, rtol=0, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gaussians_behind_the_camera_are_not_drawn(gaussians, cameras, backend):
    scene = as_float32(gaussians)
    behind = Gaussians(
        means=scene.means + 100 * cameras.centres[0].float(),
        covariances=scene.covariances,
        harmonics=scene.harmonics,
        opacities=scene.opacities,
    )
    render = render_gaussians(behind, cameras[0], backend=backend)
    assert float(render.opacity.abs().max()) == 0
    assert float(render.depth.abs().max()) == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_gaussians_show_the_background(cameras, backend):
    empty = as_float32(make_gaussians(0, seed=0))
    render = render_gaussians(empty, cameras, background=torch.ones(3), backend=backend)
    assert torch.equal(render.images, torch.ones_like(render.images))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_nearer_of_two_opaque_gaussians_hides_the_other(backend):
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    scene = Gaussians(
        means=torch.tensor([[0.0, 0, 5], [0, 0, 3], [0, 0, 4]]),
        covariances=torch.eye(3).repeat(3, 1, 1),
        harmonics=harmonics_from_colours(colours),
        opacities=torch.ones(3),
    )
    camera = Cameras(
        world_from_camera=torch.eye(4)[None],
        intrinsics=torch.tensor([[[8.0, 0, 4.5], [0, 8, 4.5], [0, 0, 1]]]),
        image_size=(9, 9),
    )
    pixel = render_gaussians(scene, camera, backend=backend).images[0, :, 4, 4]
    # The third would take the light below 1e-4, so that walking stops before it.
    torch.testing.assert_close(pixel, torch.tensor([0, 0.99, 0]), rtol=0, atol=0.011)
    assert float(pixel[1]) == pytest.approx(0.99, abs=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_unusable_gaussians_do_not_spoil_the_picture(gaussians, cameras, backend):
    scene = as_float32(gaussians)
    expected = render_gaussians(scene, cameras, backend=backend)
    bad_means = torch.tensor([[float("nan")] * 3, [0.0, 0, 0]])
    bad_covariances = torch.stack([torch.eye(3), torch.full((3, 3), float("nan"))])
    spoilt = Gaussians(
        means=torch.cat([scene.means, bad_means]),
        covariances=torch.cat([scene.covariances, bad_covariances]),
        harmonics=torch.cat([scene.harmonics, scene.harmonics[:2]]),
        opacities=torch.cat([scene.opacities, torch.full((2,), 0.9)]),
    )
    assert torch.equal(render_gaussians(spoilt, cameras, backend=backend).images, expected.images)


def test_the_reference_is_differentiable():
    scene = make_gaussians(6, seed=3)
    cameras = make_cameras(1, (6, 7))

    def total(means: torch.Tensor, opacities: torch.Tensor) -> torch.Tensor:
        changed = Gaussians(
            means=means,
            covariances=scene.covariances,
            harmonics=scene.harmonics,
            opacities=opacities,
        )
        return render_gaussians(changed, cameras, backend="auto").images.square().sum()

    means = scene.means.clone().requires_grad_()
    opacities = scene.opacities.clone().requires_grad_()
    assert torch.autograd.gradcheck(total, (means, opacities), eps=1e-7, atol=1e-3, rtol=1e-3)


def test_the_back_end_follows_device_and_gradients(gaussians):
    assert choose_backend(gaussians, "auto") == "numba"
    gaussians.means.requires_grad_()
    assert choose_backend(gaussians, "auto") == "torch"
    with torch.no_grad():
        assert choose_backend(gaussians, "auto") == "numba"
    with pytest.raises(ConfigError, match="without gradients"):
        choose_backend(gaussians, "numba")


def test_an_unknown_back_end_is_refused(gaussians, cameras):
    with pytest.raises(ConfigError, match=r"unknown renderer back-end 'nomba'. Did you mean"):
        render_gaussians(gaussians, cameras, backend="nomba")


def test_gsplat_says_why_it_cannot_run(gaussians, cameras):
    reason = "not installed" if find_spec("gsplat") is None else "CUDA"
    with pytest.raises(ConfigError, match=f"gsplat renderer cannot run: .*{reason}"):
        render_gaussians(gaussians, cameras, backend="gsplat")


@pytest.mark.gpu
@pytest.mark.skipif(
    find_spec("gsplat") is None or not torch.cuda.is_available(), reason="needs gsplat and CUDA"
)
def test_gsplat_renders_what_the_reference_renders(gaussians, cameras):
    device = torch.device("cuda")
    scene = as_float32(gaussians)
    on_device = Gaussians(
        means=scene.means.to(device),
        covariances=scene.covariances.to(device),
        harmonics=scene.harmonics.to(device),
        opacities=scene.opacities.to(device),
    )
    fast = render_gaussians(on_device, cameras, near=0.5, backend="gsplat")
    slow = render_gaussians(scene, cameras, near=0.5, backend="torch")
    error = (fast.images.cpu() - slow.images).abs()
    # gsplat 1.5 clamps opacities at 0.999 instead of 0.99.
    assert float(error.mean()) < 1e-3
    assert float(error.square().mean()) < 1e-6
