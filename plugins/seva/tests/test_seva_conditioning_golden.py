"""Cameras, conditioning, image preparation and CLIP preprocessing against the goldens."""

import pytest
import torch
from goldens import Golden, golden
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework_seva.cameras import normalised_poses, pluecker_maps
from sphinx_framework_seva.clip_images import clip_images
from sphinx_framework_seva.conditioning import assembled
from sphinx_framework_seva.noise_levels import noise_levels
from sphinx_framework_seva.sampler import SevaSampler


@pytest.fixture(scope="module")
def fixture() -> Golden:
    return golden("seva_conditioning")


def check(result: Tensor, fixture: Golden, name: str) -> None:
    torch.testing.assert_close(result, fixture.tensors[name], **fixture.info["tolerance"])


def to_4x4(poses: Tensor) -> Tensor:
    bottom = poses.new_tensor([0, 0, 0, 1]).expand(len(poses), 1, 4)
    return torch.cat([poses[:, :3], bottom], dim=1)


def test_camera_normalisation_and_pluecker_maps_match(fixture: Golden) -> None:
    size = tuple(fixture.info["latent_hw"])
    for name, camera_scale in fixture.info["camera_scale"].items():
        clip, scene = (to_4x4(fixture.tensors[f"in/{name}.{k}"]) for k in ("c2w", "all_c2w"))
        poses = normalised_poses(clip, scene, camera_scale)
        check(poses, fixture, f"out/{name}.c2w")
        maps = pluecker_maps(poses, fixture.tensors[f"in/{name}.K"], size)
        check(maps, fixture, f"out/{name}.plucker")


def test_assembled_conditioning_matches(fixture: Golden) -> None:
    t = fixture.tensors
    mask, latents = t["in/assembly.mask"], t["in/assembly.latents"]
    clean = torch.randn(len(mask), *latents.shape[1:], generator=torch.Generator().manual_seed(0))
    clean[mask] = latents
    given = assembled(
        clean=clean,
        sampler=SevaSampler(noise_levels(), 50),
        is_input=mask,
        embeddings=t["in/assembly.clip"],
        pluecker=t["out/generic.plucker"],
        scale=torch.ones(len(mask)),
    )
    for part, value in {
        "crossattn": given.context,
        "replace": given.replace,
        "concat": given.concat,
    }.items():
        unconditional, conditional = value.chunk(2)
        check(unconditional, fixture, f"out/assembly.uc.{part}")
        check(conditional, fixture, f"out/assembly.c.{part}")
    check(given.dense, fixture, "out/assembly.c.dense_vector")
    check(given.dense, fixture, "out/assembly.uc.dense_vector")


def test_clip_preprocessing_matches(fixture: Golden) -> None:
    size = tuple(fixture.info["clip_input_size"])
    image = F.interpolate(fixture.tensors["in/clip.image_small"], size, mode="bilinear")
    expected = next(n for n in fixture.tensors if n.startswith("out/clip.preprocessed_stride"))
    stride = int(expected.rsplit("stride", 1)[1])
    result = clip_images((image + 1) / 2)
    check(result[:, :, ::stride, ::stride], fixture, expected)
