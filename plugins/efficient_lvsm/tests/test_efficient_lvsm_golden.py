"""Cameras, both streams, caches and renderings against the goldens."""

from collections.abc import Callable, Iterator

import pytest
import torch
from goldens import Golden, defined_arithmetic, golden, golden_names
from torch import Tensor

from sphinx_framework_efficient_lvsm.config import NetworkConfig
from sphinx_framework_efficient_lvsm.network import EfficientLVSMNetwork, EncodedViews, together
from sphinx_framework_efficient_lvsm.rays import frame_of, joined, posed, rays

MANIFEST = "_manifest"
NAMES = [n for n in golden_names("efficient_lvsm_*") if not n.endswith(MANIFEST)]
MANIFESTS = [n for n in golden_names("efficient_lvsm_*") if n.endswith(MANIFEST)]


@pytest.fixture(params=NAMES or ["efficient_lvsm_tiny"])
def given(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


@pytest.fixture(autouse=True)
def _arithmetic() -> Iterator[None]:
    with defined_arithmetic():
        yield


class Case:
    """One golden's inputs, in the frame that it normalised them to."""

    def __init__(self, given: Golden, network: EfficientLVSMNetwork) -> None:
        self.given, self.network = given, network
        self.images = given.tensors["in/image"]
        self.size = tuple(given.info["config"]["image_hw"])
        self.batch, self.inputs = self.images.shape[:2]
        fx, fy, cx, cy = given.tensors["in/fxfycxcy"].unbind(-1)
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        self.intrinsics = torch.stack((fx, zero, cx, zero, fy, cy, zero, zero, one), -1)
        self.intrinsics = self.intrinsics.unflatten(-1, (3, 3))
        self.raw = given.tensors["in/c2w_raw"]
        self.poses = torch.stack([frame_of(b).poses(b) for b in self.raw])
        self.rays = joined(*rays(self.poses, self.intrinsics, self.size)).float()
        self.posed = posed(self.images, self.rays[:, : self.inputs])
        self.targets = self.rays[:, self.inputs :]
        self.layers = given.info["config"]["n_layer"]

    def agrees(self, actual: Tensor, key: str) -> None:
        expected = self.given.tensors[key]
        assert actual.shape == expected.shape, key
        torch.testing.assert_close(actual.to(expected.dtype), expected, **self.tolerance)

    @property
    def tolerance(self) -> dict[str, float]:
        stated = self.given.info["tolerance"]
        return {"rtol": stated["rtol"], "atol": stated["atol"]}

    def encoded(self, count: int) -> list[EncodedViews]:
        return [self.network.encode(self.posed[b, :count]) for b in range(self.batch)]

    def rendered(self, views: list[EncodedViews]) -> Tensor:
        return torch.stack(
            [self.network.render(t, v) for t, v in zip(self.targets, views, strict=True)]
        )


def appended(*views: EncodedViews) -> EncodedViews:
    singles = [some.chosen([i]) for some in views for i in range(len(some))]
    return together(singles, len(singles))


@pytest.fixture
def case(given: Golden, network_of: Callable) -> Case:
    return Case(given, network_of(given))


def numbered(case: Case, pattern: str) -> list[tuple[int, str]]:
    """Keys of the golden that carry a count or a layer at ``{}``."""
    before, after = pattern.split("{}")
    keys = [k for k in case.given.tensors if k.startswith(before) and k.endswith(after)]
    found = [(k[len(before) : len(k) - len(after)], k) for k in keys]
    return [(int(number), key) for number, key in found if number.isdigit()]


def test_poses_are_normalised_over_all_views(case: Case) -> None:
    case.agrees(case.poses, "mid/c2w_normalised")


def test_rays_and_their_channels_match(case: Case) -> None:
    origins, directions = rays(case.poses, case.intrinsics, case.size)
    case.agrees(origins, "mid/ray_o")
    case.agrees(directions, "mid/ray_d")
    held = case.given.tensors
    case.agrees(case.posed[:, : held["mid/plucker_input"].shape[1]], "mid/plucker_input")
    case.agrees(case.targets[:, : held["mid/plucker_target"].shape[1]], "mid/plucker_target")


def test_both_streams_match_after_every_layer(case: Case) -> None:
    network = case.network
    # The streams were recorded in the pass over the first views, as many as they have rows.
    count = len(case.given.tensors["mid/input_tokens_init"]) // case.batch
    x = network.rgbp_tokenizer(case.posed[:, :count].flatten(0, 1))
    y = network.target_pose_tokenizer(case.targets.flatten(0, 1))
    case.agrees(x, "mid/input_tokens_init")
    case.agrees(y, "mid/target_tokens_init")
    targets = case.targets.shape[1]
    for layer in range(case.layers):
        x = network.input_self_attn_blocks[layer](x)
        key, value = network.self_cross_blocks[layer].keys_values(x)
        key, value = (
            part.unflatten(0, (case.batch, count)).flatten(1, 2).repeat_interleave(targets, 0)
            for part in (key, value)
        )
        y = network.self_cross_blocks[layer](y, key, value)
        for stream, tokens in (("input", x), ("target", y)):
            recorded = f"mid/{stream}_tokens_layer{layer}"
            if recorded in case.given.tensors:
                case.agrees(tokens, recorded)


def test_what_is_kept_of_the_views_is_the_reference_s_cache(case: Case) -> None:
    checked = 0
    for count in range(1, case.inputs + 1):
        views = case.encoded(count)
        for kind, part in (("k", 0), ("v", 1)):
            for layer, key in numbered(case, f"mid/kv_cache_{count}views_layer{{}}_{kind}"):
                kept = [batch.of_layer(layer)[part] for batch in views]
                case.agrees(torch.stack(kept), key)
                checked += 1
    assert checked


def test_renderings_match(case: Case) -> None:
    keys = [k for k in case.given.tensors if k.startswith("out/render_")]
    assert keys
    for key in keys:
        count = int(key.removeprefix("out/render_").split("views")[0])
        case.agrees(case.rendered(case.encoded(count)), key)


def test_views_added_later_give_what_all_views_at_once_give(case: Case) -> None:
    at_once = case.encoded(case.inputs)
    together = case.rendered(at_once)
    late = [
        appended(
            case.network.encode(case.posed[b, : case.inputs - 1]),
            case.network.encode(case.posed[b, case.inputs - 1 :]),
        )
        for b in range(case.batch)
    ]
    torch.testing.assert_close(case.rendered(late), together, **case.tolerance)
    one_by_one = [
        [case.network.encode(case.posed[b, i : i + 1]) for i in range(case.inputs)]
        for b in range(case.batch)
    ]
    turned = [appended(*views[1:], views[0]) for views in one_by_one]
    torch.testing.assert_close(case.rendered(turned), together, **case.tolerance)


def test_a_view_removed_leaves_what_the_others_give(case: Case) -> None:
    if case.inputs < 2:
        pytest.skip("this fixture has one view: none is left where it is removed")
    fewer = [views.chosen(range(len(views) - 1)) for views in case.encoded(case.inputs)]
    expected = case.rendered(case.encoded(case.inputs - 1))
    torch.testing.assert_close(case.rendered(fewer), expected, **case.tolerance)


@pytest.mark.parametrize("name", MANIFESTS or ["efficient_lvsm_full_manifest"])
def test_parameters_have_the_released_names_and_shapes(
    name: str, sizes_of: Callable[[Golden], NetworkConfig]
) -> None:
    manifest = golden(name)
    with torch.device("meta"):
        network = EfficientLVSMNetwork(sizes_of(manifest))
    found = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert found == {key: entry[0] for key, entry in manifest.info["state_dict"].items()}
    assert len(found) == manifest.info["num_state_dict_entries"]
    total = sum(parameter.numel() for parameter in network.parameters())
    assert total == manifest.info["total_parameters"]
