import pytest
import torch
from golden_cameras import rendered_cameras
from goldens import golden
from hypothesis import given, settings
from hypothesis import strategies as st
from render_samples import make_cameras

from sphinx_framework.splatting import points as points_module
from sphinx_framework.splatting.points import render_points
from sphinx_framework.types import Cameras


def cloud(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator), torch.rand(count, 3, generator=generator)


def test_renders_match_the_golden():
    fixture = golden("viewcrafter_pointrender")
    tensors, config = fixture.tensors, fixture.info["config"]
    cameras = rendered_cameras(fixture)
    tolerance = fixture.info["tolerance"]
    for tag, options in config["tags"].items():
        render = render_points(tensors["in/points"], tensors["in/colors"], cameras, **options)
        for name, result in (
            ("image", render.images.permute(0, 2, 3, 1)),
            ("opacity", render.opacity[..., None]),
        ):
            expected = tensors[f"out/{tag}_{name}"]
            wrong = ~torch.isclose(result, expected, rtol=tolerance["rtol"], atol=tolerance["atol"])
            assert float(wrong.float().mean()) <= 0.005


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 500), st.integers(1, 12), st.floats(0.05, 0.6), st.integers(1, 4))
def test_every_pixel_composites_its_nearest_points(seed, count, radius, points_per_pixel):
    positions, colours = (value.double() for value in cloud(count, seed))
    camera = make_cameras(1, (7, 9), seed)
    render = render_points(
        positions, colours, camera, radius=radius, points_per_pixel=points_per_pixel
    )
    image, opacity, depth = brute_force(positions, colours, camera, radius, points_per_pixel)
    torch.testing.assert_close(render.images[0], image)
    torch.testing.assert_close(render.opacity[0], opacity)
    torch.testing.assert_close(render.depth[0], depth)


def brute_force(
    positions: torch.Tensor, colours: torch.Tensor, camera: Cameras, radius: float, limit: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixel by pixel and point by point, as the specification says."""
    height, width = camera.image_size
    reach = radius * min(height, width) / 2
    view = camera.camera_from_world[0]
    local = positions @ view[:3, :3].T + view[:3, 3]
    image = torch.zeros(3, height, width, dtype=torch.float64)
    opacity = torch.zeros(height, width, dtype=torch.float64)
    depth = torch.zeros(height, width, dtype=torch.float64)
    order = [i for i in local[:, 2].argsort().tolist() if local[i, 2] > 0]
    places = (local @ camera.intrinsics[0].T)[:, :2] / local[:, 2:]
    for row in range(height):
        for column in range(width):
            centre = torch.tensor([column + 0.5, row + 0.5])
            light, used = 1.0, 0
            for i in order:
                squared = float(((places[i] - centre) ** 2).sum())
                if squared < reach**2 and used < limit:
                    weight = light * (1 - squared / reach**2)
                    image[:, row, column] += weight * colours[i]
                    opacity[row, column] += weight
                    depth[row, column] += weight * local[i, 2]
                    light -= weight
                    used += 1
    return image, opacity, depth


def test_batches_and_order_of_views_change_nothing(monkeypatch):
    positions, colours = cloud(50)
    cameras = make_cameras(4, (16, 20))
    together = render_points(positions, colours, cameras, radius=0.1)
    monkeypatch.setattr(points_module, "RECORDS_PER_BATCH", 1)
    order = [3, 1, 0, 2]
    alone = render_points(positions, colours, cameras[order], radius=0.1)
    assert torch.equal(alone.images, together.images[order])
    assert torch.equal(alone.opacity, together.opacity[order])


def test_points_behind_the_camera_are_not_drawn():
    positions, colours = cloud(50)
    camera = make_cameras(1, (16, 20))
    behind = positions + 100 * camera.centres[0].float()
    assert float(render_points(behind, colours, camera, radius=0.1).opacity.max()) == 0


def test_one_colour_stays_itself_without_premultiplication():
    positions, _ = cloud(200)
    colours = torch.tensor([0.2, 0.5, 0.8]).expand(200, 3)
    camera = make_cameras(1, (16, 20))
    render = render_points(positions, colours, camera, radius=0.1, premultiplied=False)
    seen = render.opacity[0] > 0
    assert bool(seen.any())
    assert bool((~seen).any())
    shown = render.images[0][:, seen]
    torch.testing.assert_close(shown, colours[0][:, None].expand_as(shown))
    assert float(render.images[0][:, ~seen].abs().max()) == 0


@pytest.mark.parametrize("count", [0, 1])
def test_empty_clouds_and_no_views_are_fine(count):
    positions, colours = cloud(count)
    cameras = make_cameras(2, (4, 5))
    assert render_points(positions, colours, cameras).images.shape == (2, 3, 4, 5)
    assert render_points(positions, colours, cameras[[]]).images.shape == (0, 3, 4, 5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_what_the_cpu_draws_and_the_same_bytes_each_time():
    positions, colours = cloud(2000)
    cameras = make_cameras(3, (16, 20))
    expected = render_points(positions, colours, cameras, radius=0.1)
    first, second = (
        render_points(positions.cuda(), colours.cuda(), cameras, radius=0.1) for _ in range(2)
    )
    assert torch.equal(first.images, second.images)
    torch.testing.assert_close(first.images.cpu(), expected.images, rtol=1e-3, atol=1e-4)
