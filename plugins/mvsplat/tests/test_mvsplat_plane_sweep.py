import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from torch.nn import functional

from sphinx_framework_mvsplat.cpu_sweep import swept
from sphinx_framework_mvsplat.plane_sweep import all_pairs, depth_candidates, plane_sweep


def sweep_by_warping(features, poses, intrinsics, inverse_depths):
    """The definition: warp the source features to every depth plane and correlate."""
    _, views, channels, height, width = features.shape
    volume = torch.zeros(views, inverse_depths.shape[-1], height, width, dtype=torch.float64)
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([xs, ys, torch.ones_like(xs)]).double()
    for i in range(views):
        k = intrinsics[0, i].double() * torch.tensor([[width], [height], [1]])
        rays = torch.einsum("ij,jhw->ihw", torch.linalg.inv(k), pixels)
        for j in (other for other in range(views) if other != i):
            relative = torch.linalg.inv(poses[0, j].double()) @ poses[0, i].double()
            for d, inverse in enumerate(inverse_depths[0, i]):
                points = torch.einsum("ij,jhw->ihw", relative[:3, :3], rays / inverse)
                points = torch.einsum("ij,jhw->ihw", k, points + relative[:3, 3, None, None])
                place = points[:2] / points[2:].clamp(min=1e-3)
                extent = torch.tensor([width - 1, height - 1])[:, None, None]
                grid = (2 * place / extent - 1).permute(1, 2, 0)[None]
                warped = functional.grid_sample(features[:, j].double(), grid, align_corners=True)
                volume[i, d] += (features[0, i] * warped[0]).sum(0) / channels**0.5
    return (volume / (views - 1)).float()[None]


@settings(max_examples=15, deadline=None)
@drawn(
    size=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    views=st.integers(2, 4),
    seed=st.integers(0, 2**31),
)
def test_sampling_correlations_equals_warping_the_features(size, views, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, views, 8, *size, generator=generator)
    poses = torch.eye(4).repeat(1, views, 1, 1)
    angle = 0.3 * torch.randn(views, 3, 3, generator=generator)
    poses[0, :, :3, :3] = torch.linalg.matrix_exp(angle - angle.transpose(1, 2))
    poses[0, :, :3, 3] = torch.randn(views, 3, generator=generator)
    intrinsics = torch.tensor([[0.8, 0, 0.5], [0, 0.9, 0.45], [0, 0, 1]]).repeat(1, views, 1, 1)
    near, far = torch.full((1, views), 0.7), torch.full((1, views), 12.0)
    inverse = depth_candidates(near, far, 5)
    torch.testing.assert_close(
        plane_sweep(features, poses, intrinsics, inverse),
        sweep_by_warping(features, poses, intrinsics, inverse),
        rtol=1e-3,
        atol=1e-3,
    )


def test_candidates_run_from_far_to_near_evenly_in_inverse_depth():
    inverse = depth_candidates(torch.tensor([[2.0]]), torch.tensor([[10.0]]), 5)
    torch.testing.assert_close(inverse[0, 0], torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]))


def test_the_volume_peaks_at_the_true_depth_of_a_shifted_plane():
    generator = torch.Generator().manual_seed(1)
    pattern = functional.normalize(torch.randn(1, 16, 8, 24, generator=generator), dim=1)
    # A fronto-parallel plane at depth 4 seen with focal length 8 from 1 unit aside: 2 cells.
    features = torch.stack([pattern[..., 4:20], pattern[..., 6:22]], dim=1)
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = 1.0
    intrinsics = torch.tensor([[0.5, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]]).repeat(1, 2, 1, 1)
    inverse = torch.tensor([1 / 16, 1 / 8, 1 / 4, 1 / 2]).expand(1, 2, 4)
    volume = plane_sweep(features, poses, intrinsics, inverse)
    assert (volume[0, 0, :, :, 6:].argmax(0) == 2).all()
    assert (volume[0, 1, :, :, :-6].argmax(0) == 2).all()


def a_pair(size, channels, seed, planes=17):
    generator = torch.Generator().manual_seed(seed)
    cells = size[0] * size[1]
    reference, source = torch.randn(2, channels, cells, generator=generator)
    turn = torch.eye(3) + 0.05 * torch.randn(3, 3, generator=generator)
    shift = torch.randn(3, generator=generator) * torch.tensor([*size[::-1], 0.3])
    inverse = torch.linspace(1 / 50, 1 / 0.8, planes)
    return reference, source, (turn, shift), inverse, size


@settings(max_examples=20, deadline=None)
@drawn(
    size=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    channels=st.integers(1, 19),
    chunk_rows=st.integers(1, 40),
    seed=st.integers(0, 2**31),
)
def test_products_that_are_sampled_are_those_of_all_pairs(size, channels, chunk_rows, seed):
    reference, source, motion, inverse, size = a_pair(size, channels, seed)
    expected = all_pairs(reference, source, motion, inverse, size, 4 * chunk_rows)
    found = swept(reference.T, source.T, motion, inverse, size)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)


def test_the_bytes_do_not_depend_on_the_number_of_threads(monkeypatch):
    reference, source, motion, inverse, size = a_pair((7, 9), 16, 3)
    one = swept(reference.T, source.T, motion, inverse, size)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(swept(reference.T, source.T, motion, inverse, size), one)


def test_features_that_are_not_finite_stay_so():
    reference, source, motion, inverse, size = a_pair((4, 4), 8, 1)
    source[3] = torch.nan
    found = swept(reference.T, source.T, motion, inverse, size)
    assert bool(found[found != 0].isnan().all())
    assert bool(found.isnan().any())
