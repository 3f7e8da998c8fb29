"""What is handed to gsplat and made of its answer, with a stand-in that keeps to its documentation.

The stand-in takes gsplat's arguments (names, shapes and conventions as documented for 1.5) and
answers by the reference renderer, so that only the CUDA kernels themselves are left out.
"""

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
from render_samples import as_float32, make_cameras, make_gaussians
from torch import Tensor

from sphinx_framework.splatting import gaussians as dispatcher
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.splatting.gsplat import VIEWS_PER_CALL, render_gsplat
from sphinx_framework.splatting.harmonics import harmonics_from_colours
from sphinx_framework.splatting.reference import render_torch
from sphinx_framework.types import Cameras, Gaussians


@dataclass
class Gsplat:
    """``gsplat.rasterization`` on the CPU, for the modes that are used."""

    calls: list[dict[str, object]] = field(default_factory=list)

    def rasterization(
        self,
        means: Tensor,
        quats: Tensor | None,
        scales: Tensor | None,
        opacities: Tensor,
        colors: Tensor,
        viewmats: Tensor,
        Ks: Tensor,
        width: int,
        height: int,
        near_plane: float = 0.01,
        far_plane: float = 1e10,
        radius_clip: float = 0.0,
        eps2d: float = 0.3,
        sh_degree: int | None = None,
        packed: bool = True,
        tile_size: int = 16,
        backgrounds: Tensor | None = None,
        render_mode: str = "RGB",
        sparse_grad: bool = False,
        absgrad: bool = False,
        rasterize_mode: str = "classic",
        channel_chunk: int = 32,
        distributed: bool = False,
        camera_model: str = "pinhole",
        segmented: bool = False,
        covars: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, dict[str, object]]:
        count, views = len(means), len(viewmats)
        assert (quats, scales, sh_degree) == (None, None, None)
        assert covars is not None
        assert rasterize_mode == "classic"
        assert render_mode == "RGB+D", "the fourth channel is the sum of weight times depth"
        assert not (packed and backgrounds is not None), "fails in 1.5.3"
        assert (far_plane, radius_clip, camera_model) == (1e10, 0.0, "pinhole")
        shapes = {
            means: (count, 3),
            covars: (count, 3, 3),
            opacities: (count,),
            colors: (views, count, 3),
            viewmats: (views, 4, 4),
            Ks: (views, 3, 3),
        }
        for tensor, shape in shapes.items():
            assert tuple(tensor.shape) == shape
            assert tensor.dtype == torch.float32
            assert tensor.isfinite().all()
        assert (colors >= 0).all()
        self.calls.append({"views": views, "packed": packed, "near": near_plane})
        renders, alphas = [], []
        for i in range(views):
            scene = Gaussians(
                means=means,
                covariances=covars,
                harmonics=harmonics_from_colours(colors[i]),
                opacities=opacities,
            )
            camera = Cameras(
                world_from_camera=torch.linalg.inv(viewmats[i : i + 1]),
                intrinsics=Ks[i : i + 1],
                image_size=(height, width),
            )
            view = render_torch(scene, camera, torch.zeros(1, 3), torch.tensor([near_plane]), eps2d)
            renders.append(torch.cat([view.images, view.depth[:, None]], dim=1).movedim(1, -1))
            alphas.append(view.opacity[..., None])
        return torch.cat(renders), torch.cat(alphas), {}


@pytest.fixture
def gsplat(monkeypatch):
    stand_in = Gsplat()
    monkeypatch.setitem(sys.modules, "gsplat", stand_in)
    return stand_in


def both(gaussians, cameras, nears, backgrounds):
    views = len(cameras)
    arguments = (cameras, backgrounds.expand(views, 3), nears.expand(views), 0.3)
    return render_gsplat(gaussians, *arguments), render_torch(gaussians, *arguments)


def assert_same(fast, slow):
    for name in ("images", "opacity", "depth"):
        result, expected = getattr(fast, name), getattr(slow, name)
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, expected.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arguments_and_answer_keep_all_conventions(gsplat, views, dtype):
    double = make_gaussians(30, seed=1)
    gaussians = double if dtype == torch.float64 else as_float32(double)
    cameras = make_cameras(views, (14, 18), seed=1)
    background = torch.tensor([0.9, 0.2, 0.4], dtype=dtype)
    assert_same(*both(gaussians, cameras, torch.tensor(0.5, dtype=dtype), background))
    assert [call["packed"] for call in gsplat.calls] == [views > 2]


def test_views_are_grouped_by_near_and_come_back_in_order(gsplat):
    gaussians, cameras = as_float32(make_gaussians(30, seed=2)), make_cameras(4, (10, 12), seed=2)
    nears = torch.tensor([0.5, 4.0, 0.5, 4.0])
    assert_same(*both(gaussians, cameras, nears, torch.rand(4, 3)))
    assert [(call["views"], call["near"]) for call in gsplat.calls] == [(2, 0.5), (2, 4.0)]


def test_many_views_go_in_several_calls(gsplat):
    gaussians = as_float32(make_gaussians(5, seed=3))
    cameras = make_cameras(VIEWS_PER_CALL + 3, (6, 6), seed=3)
    assert_same(*both(gaussians, cameras, torch.tensor(0.5), torch.zeros(3)))
    assert [call["views"] for call in gsplat.calls] == [VIEWS_PER_CALL, 3]


def test_gaussians_that_are_no_numbers_are_left_out(gsplat):
    gaussians = as_float32(make_gaussians(20, seed=4))
    gaussians.means[3] = float("nan")
    gaussians.covariances[5, 0, 1] = float("inf")
    gaussians.opacities[7] = float("nan")
    kept = torch.ones(20, dtype=torch.bool)
    kept[[3, 5, 7]] = False
    cameras = make_cameras(2, (10, 12), seed=4)
    fast, _ = both(gaussians, cameras, torch.tensor(0.5), torch.ones(3))
    usable = Gaussians(
        means=gaussians.means[kept],
        covariances=gaussians.covariances[kept],
        harmonics=gaussians.harmonics[kept],
        opacities=gaussians.opacities[kept],
    )
    assert_same(fast, both(usable, cameras, torch.tensor(0.5), torch.ones(3))[1])


def test_no_gaussians_show_the_background_without_a_call(gsplat):
    empty = as_float32(make_gaussians(0, seed=0))
    render, _ = both(empty, make_cameras(2, (4, 5)), torch.tensor(0.5), torch.ones(3))
    assert torch.equal(render.images, torch.ones(2, 3, 4, 5))
    assert not gsplat.calls


def test_the_dispatcher_takes_it_where_it_can_run(gsplat, monkeypatch):
    monkeypatch.setattr(dispatcher, "gsplat_problem", lambda device: "")
    gaussians, cameras = as_float32(make_gaussians(10, seed=5)), make_cameras(2, (8, 9), seed=5)
    fast = render_gaussians(gaussians, cameras, near=0.5, backend="gsplat")
    assert_same(fast, render_gaussians(gaussians, cameras, near=0.5, backend="torch"))
    assert len(gsplat.calls) == 1


@pytest.mark.parametrize(
    ("backend", "built"), [(SimpleNamespace(_C=object()), True), (SimpleNamespace(_C=None), False)]
)
def test_missing_kernels_are_noticed(monkeypatch, backend, built):
    from sphinx_framework.splatting.gsplat import kernels_are_built

    for name in ("gsplat", "gsplat.cuda"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(__path__=[]))
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", backend)
    assert kernels_are_built() is built
