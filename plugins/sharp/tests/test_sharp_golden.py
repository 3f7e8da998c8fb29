"""The network against the numeric fixtures; sizes, samples and tolerances come from their json."""

import math
import re

import pytest
import torch
from goldens import defined_arithmetic, described, golden

from sphinx_framework.types import Cameras
from sphinx_framework_sharp.compose import initialise
from sphinx_framework_sharp.config import NetworkConfig
from sphinx_framework_sharp.network import SharpNetwork, metric_depth
from sphinx_framework_sharp.pyramid import SlidingPyramid
from sphinx_framework_sharp.world import gaussians_in_world

# What a description says tells the kinds apart, not the name.
FOUND = described("sharp_*")
MANIFESTS = [n for n, info in FOUND.items() if "state_dict" in info] or ["sharp_full_manifest"]
FULL = [n for n, info in FOUND.items() if "input_formula" in info] or ["sharp_fullres"]
PYRAMIDS = [n for n, info in FOUND.items() if "subsets" in info] or ["sharp_spn_overlap"]
OTHERS = {*MANIFESTS, *FULL, *PYRAMIDS}
TINY = [n for n in FOUND if n not in OTHERS] or ["sharp_tiny"]
PARTS = {
    "mean_vectors": "means",
    "singular_values": "scales",
    "quaternions": "quaternions",
    "colors": "colours",
    "opacities": "opacities",
}
NOT_OPTIONS = ("preset_name", "seed", "f_px", "image_wh", "disparity_factor", "stride_out")


def config_of(given) -> NetworkConfig:
    options = {k: v for k, v in given.info["config"].items() if k not in NOT_OPTIONS}
    return NetworkConfig.model_validate(options)


def loaded(network, given):
    network.load_state_dict(given.under("param/"), strict=True)
    return network.eval().requires_grad_(False)


def agrees(given, actual, name):
    expected = given.tensors[name]
    # A stored sample of the first rows or channels is compared with those.
    part = actual[tuple(slice(0, n) for n in expected.shape)]
    torch.testing.assert_close(
        part, expected, **tolerance(given), msg=lambda told: f"{name}: {told}"
    )


def tolerance(given):
    return {key: given.info["tolerance"][key] for key in ("rtol", "atol")}


def same_gaussians(given, actual, pick):
    for name, part in PARTS.items():
        value = getattr(actual, part)
        assert pick(value).shape == given.tensors[f"out/{name}"].shape
        agrees(given, pick(value), f"out/{name}")


@pytest.mark.parametrize("name", MANIFESTS)
def test_parameters_equal_the_official_manifest(name):
    manifest = golden(name).info
    with torch.device("meta"):
        state = SharpNetwork(NetworkConfig()).state_dict()
    kinds = {key: [list(value.shape), str(value.dtype)[6:]] for key, value in state.items()}
    assert kinds == manifest["state_dict"]
    assert len(state) == manifest["num_state_dict_entries"]
    assert sum(value.numel() for value in state.values()) == manifest["total_parameters"]
    for group, count in manifest["parameters_per_group"].items():
        held = [v.numel() for k, v in state.items() if k.startswith(f"{group}.")]
        assert sum(held) == count, group


@pytest.mark.parametrize("name", TINY)
def test_every_stage_of_the_network_agrees_with_the_golden(name):
    given = golden(name)
    network = loaded(SharpNetwork(config_of(given)), given)
    predictor = network.monodepth_model.monodepth_predictor
    image, factor = given.tensors["in/image"], given.tensors["in/disparity_factor"]
    with torch.no_grad(), defined_arithmetic():
        features, disparity = predictor(image)
        decoded = predictor.decoder(features)
        depth = metric_depth(disparity, factor)
        start = initialise(image, depth)
        geometry, texture = network.feature_model(features, start.decoder_input)
        delta = network.prediction_head(geometry, texture)
        came = network(image, factor)
        scale_map = network.depth_alignment.scale_map_estimator(
            depth[:, :1], given.tensors["in/depth"]
        )
        aligned = network.gaussians(features, image, depth * scale_map)
    width, height = given.tensors["in/image_wh"].tolist()
    f = float(given.tensors["in/f_px"])
    cameras = Cameras(
        world_from_camera=torch.eye(4)[None],
        intrinsics=torch.tensor([[[f, 0, width / 2], [0, f, height / 2], [0, 0, 1.0]]]),
        image_size=(height, width),
    )
    world = gaussians_in_world(came, 0, cameras[0], 1.0)
    seen = {f"mid/encoder_feature_{i}": feature for i, feature in enumerate(features)}
    seen |= {
        "mid/disparity": disparity,
        "mid/monodepth_decoder_features": decoded,
        "mid/global_scale": start.scale,
        "mid/base_inverse_z": start.inverse_depth,
        "mid/feature_input": start.decoder_input[:, 3:],
        "mid/geometry_features": geometry,
        "mid/delta": delta,
        "mid/alignment_map": scale_map,
        "mid/unprojection_matrix": world.frame,
        "out/aligned_mean_vectors": aligned.means,
        "out/metric_mean_vectors": world.gaussians.means,
        "out/metric_covariances": world.gaussians.covariances,
    }
    same_gaussians(given, came, lambda value: value)
    compared = {f"out/{name}" for name in PARTS}
    recorded = {n for n in given.tensors if n.startswith(("mid/", "out/"))} - compared
    assert recorded <= set(seen), sorted(recorded - set(seen))
    for key in sorted(recorded):
        agrees(given, seen[key], key)


@pytest.mark.parametrize("name", PYRAMIDS)
def test_the_pyramid_agrees_with_the_golden(name):
    given = golden(name)
    pyramid = loaded(SlidingPyramid(config_of(given)), given)
    with torch.no_grad(), defined_arithmetic():
        features = pyramid(given.tensors["in/x"])
    expected = given.tensors["mid/tiles_mid_first_row"]
    rows = pyramid.tiles(given.tensors["in/x"])[1][: len(expected), : expected.shape[1]]
    torch.testing.assert_close(rows, expected, **tolerance(given))
    for i, (top, down, left, across) in enumerate(given.info["subsets"]):
        part = features[i][:, :, top::down, left::across]
        assert part.shape == given.tensors[f"out/encoder_feature_{i}"].shape
        agrees(given, part, f"out/encoder_feature_{i}")


def formula(size, batch):
    """The picture that the description of the full-size golden defines."""
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    x, y = place[None, :], place[:, None]
    turn = 2 * math.pi
    return torch.stack(
        [
            torch.stack(
                [
                    0.5 + 0.5 * torch.sin(turn * ((3 + c + b) * x + (2 + 2 * c) * y) + 0.7 * c)
                    * torch.cos(turn * (5 * x * y + 0.3 * b))
                    for c in range(3)
                ]
            )
            for b in range(batch)
        ]
    ).float()  # fmt: skip


@pytest.mark.parametrize("name", FULL)
def test_the_official_geometry_agrees_with_the_golden(name):
    given = golden(name)
    config = config_of(given)
    image = formula(given.info["input_formula"]["S"], given.info["input_formula"]["B"])
    assert image.shape[-1] == config.image_size
    down, across = strides(given, "in/image_probe")
    torch.testing.assert_close(
        image[:, :, ::down, ::across], given.tensors["in/image_probe"], rtol=0, atol=1e-6
    )
    network = loaded(SharpNetwork(config), given)
    factor = given.tensors["in/disparity_factor"]
    with torch.no_grad(), defined_arithmetic():
        features, disparity = network.monodepth_model.monodepth_predictor(image)
        came = network.gaussians(features, image, metric_depth(disparity, factor))
    down, across = strides(given, "mid/disparity_subset")
    agrees(given, disparity[:, :, ::down, ::across], "mid/disparity_subset")
    step = given.info["config"]["stride_out"]
    same_gaussians(given, came, lambda value: value[:, ::step])


def strides(given, name):
    """``image[:, :, ::191, ::193]`` in a description, as numbers."""
    told = given.info["tensors"][name]["desc"]
    down, across = re.findall(r"::(\d+)", told)
    return int(down), int(across)
