import torch

from sphinx_framework_lite.splat import Splats, fill_holes, fuse, splat_view

SIZE = (24, 32)


def camera(shift=0.0):
    pose = torch.eye(4)
    pose[0, 3] = shift
    k = torch.tensor([[30.0, 0, 16], [0, 30.0, 12], [0, 0, 1]])
    return pose, k


def wall(depth=2.0, confidence=1.0, shift=0.0):
    pose, k = camera()
    target, _ = camera(shift)
    image = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))
    return image, splat_view(
        image,
        torch.full(SIZE, depth),
        torch.full(SIZE, confidence),
        pose,
        k,
        target[None],
        k[None],
        SIZE,
    )


def test_a_view_splatted_onto_itself_is_opaque_and_at_its_depth():
    image, out = wall()
    assert out.opacity[0, 2:-2, 2:-2].min() > 0.9
    assert torch.allclose(out.depth[0, 2:-2, 2:-2], torch.tensor(2.0), atol=1e-4)
    assert (out.images[0] - image).abs().mean() < 0.1


def test_opacity_follows_confidence():
    _, sure = wall(confidence=1.0)
    _, unsure = wall(confidence=0.5)
    assert abs(float(unsure.opacity.mean() / sure.opacity.mean()) - 0.5) < 0.05


def test_a_sideways_camera_sees_a_shifted_wall_and_an_empty_border():
    _, out = wall(shift=0.5)
    assert float(out.opacity[0, :, -4:].max()) == 0
    assert float(out.opacity[0, 4:-4, 2:16].min()) > 0.9


def test_the_nearer_surface_hides_the_other():
    shape = (1, 3, 8, 8)
    opaque = torch.ones(1, 8, 8)
    near = Splats(images=torch.zeros(shape), opacity=opaque, depth=torch.full((1, 8, 8), 1.0))
    far = Splats(images=torch.ones(shape), opacity=opaque, depth=torch.full((1, 8, 8), 2.0))
    fused = fuse([far, near], torch.ones(2, 1))
    assert float(fused.images.max()) < 1e-3
    assert torch.allclose(fused.depth, torch.tensor(1.0), atol=1e-3)


def test_sources_that_disagree_lower_the_opacity():
    shape, depth = (1, 3, 8, 8), torch.ones(1, 8, 8)
    opaque = torch.ones(1, 8, 8)
    black = Splats(images=torch.zeros(shape), opacity=opaque, depth=depth)
    white = Splats(images=torch.ones(shape), opacity=opaque, depth=depth)
    closeness = torch.full((2, 1), 0.5)
    assert float(fuse([black, black], closeness).opacity.min()) > 0.99
    assert float(fuse([black, white], closeness).opacity.max()) < 0.2


def test_holes_are_filled_from_around_and_opaque_pixels_are_kept():
    images = torch.zeros(1, 3, 16, 24)
    images[:, 0] = 0.7
    opacity = torch.ones(1, 16, 24)
    opacity[:, 4:10, 6:15] = 0
    filled = fill_holes(images * (opacity[:, None] > 0), opacity)
    assert torch.allclose(filled, images, atol=1e-4)
