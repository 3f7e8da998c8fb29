import re
from typing import Any

import pytest
import torch
from goldens import Golden, defined_arithmetic, golden
from torch import Tensor, nn

from sphinx_framework.errors import SceneError
from sphinx_framework.weights import load_strictly
from sphinx_framework_dust3r.config import NetworkConfig
from sphinx_framework_dust3r.network.heads import DPTHead
from sphinx_framework_dust3r.network.pair_network import PairNetwork
from sphinx_framework_dust3r.network.rope import rotary_table, rotate, token_positions
from sphinx_framework_dust3r.weights import canonical_names

MANIFESTS = ("dust3r_full_manifest", "dust3r_linear_full_manifest")
PAIRS = ("dust3r_pair_dpt", "dust3r_pair_linear")


def network_config(model: dict[str, Any], dpt: dict[str, Any] | None = None) -> NetworkConfig:
    """The golden files' names of the sizes to ours."""
    sizes = {"dpt_features": "feature_dim", "dpt_last": "last_dim", "dpt_channels": "layer_dims"}
    return NetworkConfig(
        head=model["head_type"],
        encoder_width=model["enc_embed_dim"],
        encoder_depth=model["enc_depth"],
        encoder_heads=model["enc_num_heads"],
        decoder_width=model["dec_embed_dim"],
        decoder_depth=model["dec_depth"],
        decoder_heads=model["dec_num_heads"],
        **{ours: dpt[theirs] for ours, theirs in sizes.items()} if dpt else {},
    )


def trace(network: PairNetwork, record: dict[str, Tensor]) -> None:
    """Record the outputs that the goldens name, through forward hooks."""

    def keep(module: nn.Module, name: str) -> None:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            record[name] = output

        module.register_forward_hook(hook)

    keep(network.patch_embed, "patch_tokens_ab")
    keep(network.enc_norm, "enc_norm_ab")
    for i, block in enumerate(network.enc_blocks):
        keep(block, f"enc_block{i}_ab")
    for side, blocks in ((1, network.dec_blocks), (2, network.dec_blocks2)):
        for i, block in enumerate(blocks):
            keep(block, f"dec{side}_block{i}")
    for k, head in ((1, network.downstream_head1), (2, network.downstream_head2)):
        if not isinstance(head, DPTHead):
            keep(head.proj, f"head{k}_proj")
            continue
        keep(head, f"head{k}_raw")
        for i in range(4):
            keep(head.dpt.act_postprocess[i], f"head{k}_act{i}")
            keep(getattr(head.dpt.scratch, f"layer{i + 1}_rn"), f"head{k}_rn{i}")
            keep(getattr(head.dpt.scratch, f"refinenet{i + 1}"), f"head{k}_refinenet{i + 1}")


@pytest.fixture(scope="module", params=PAIRS)
def pair(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


@pytest.fixture(scope="module")
def run(pair: Golden) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs and recorded intermediates of the network on the golden's two ordered pairs."""
    with defined_arithmetic(), torch.no_grad():
        return traced(pair)


def traced(pair: Golden) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    config = pair.info["config"]
    network = PairNetwork(network_config(config["model"], config.get("dpt")))
    load_strictly(network, canonical_names(pair.under("param/")), pair.name)
    record: dict[str, Tensor] = {}
    trace(network, record)
    images = network.encode(torch.cat([pair.tensors["in/img_a"], pair.tensors["in/img_b"]]))
    output = network.decode(images[[0, 1]], images[[1, 0]])
    outputs = {
        "pts3d_1": output.first_points,
        "conf_1": output.first_confidence,
        "pts3d_in_other_view_2": output.second_points,
        "conf_2": output.second_confidence,
    }
    return outputs, record


@pytest.mark.parametrize("name", MANIFESTS)
def test_names_and_shapes_equal_the_official_checkpoints(name: str) -> None:
    manifest = golden(name).info
    with torch.device("meta"):
        network = PairNetwork(network_config(manifest["config"]))
    ours = {key: list(value.shape) for key, value in network.state_dict().items()}
    official = {key: shape for key, (shape, _) in manifest["state_dict"].items()}
    aliases = {key: ours[target] for key, target in manifest["aliases"].items()}
    assert ours | aliases == official


@pytest.mark.parametrize("name", MANIFESTS)
def test_parameter_count_equals_the_official_one(name: str) -> None:
    manifest = golden(name).info
    with torch.device("meta"):
        network = PairNetwork(network_config(manifest["config"]))
    assert sum(p.numel() for p in network.parameters()) == manifest["total_parameters"]


def test_default_sizes_are_the_official_ones() -> None:
    assert network_config(golden(MANIFESTS[0]).info["config"]) == NetworkConfig()


def test_pointmaps_and_confidences_equal_the_golden(
    pair: Golden, run: tuple[dict[str, Tensor], dict[str, Tensor]]
) -> None:
    expected = pair.under("out/")
    assert expected.keys() == run[0].keys()
    for name, value in expected.items():
        torch.testing.assert_close(run[0][name], value, **pair.info["tolerance"], msg=name)


def test_the_attention_kernels_of_production_change_rounding_only(
    pair: Golden, run: tuple[dict[str, Tensor], dict[str, Tensor]]
) -> None:
    with torch.no_grad():
        outputs, _ = traced(pair)
    for name, value in outputs.items():
        torch.testing.assert_close(value, run[0][name], rtol=1e-3, atol=1e-4)


def test_intermediates_equal_the_golden(
    pair: Golden, run: tuple[dict[str, Tensor], dict[str, Tensor]]
) -> None:
    expected = {k: v for k, v in pair.under("mid/").items() if not k.startswith("rope_")}
    assert expected
    assert expected.keys() <= run[1].keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            run[1][name], value, **pair.info["tolerance"], msg=lambda text, at=name: f"{at}: {text}"
        )


def test_rotary_embedding_equals_the_golden(pair: Golden) -> None:
    tokens, positions = pair.tensors["mid/rope_in"], pair.tensors["mid/rope_pos"]
    table = rotary_table(positions[0], tokens.shape[-1], tokens.dtype)
    torch.testing.assert_close(
        rotate(tokens, table), pair.tensors["mid/rope_out"], **pair.info["tolerance"]
    )


def test_token_positions_are_row_major_y_then_x(pair: Golden) -> None:
    config = pair.info["config"]
    positions = token_positions(config["H"] // 16, config["W"] // 16, torch.device("cpu"))
    assert torch.equal(positions, pair.tensors["mid/rope_pos"][0])


def test_projections_load_under_either_name(pair: Golden) -> None:
    state = canonical_names(pair.under("param/"))
    other = {
        re.sub(r"layer(\d)_rn", lambda m: f"layer_rn.{int(m[1]) - 1}", key): value
        for key, value in state.items()
    }
    assert (other.keys() == state.keys()) == (pair.info["config"]["model"]["head_type"] == "linear")
    assert canonical_names(other).keys() == state.keys()


def tiny() -> PairNetwork:
    torch_config = NetworkConfig(
        head="dpt",
        encoder_width=16,
        encoder_depth=1,
        encoder_heads=2,
        decoder_width=8,
        decoder_depth=4,
        decoder_heads=2,
        dpt_features=4,
        dpt_last=4,
        dpt_channels=(4, 4, 4, 4),
    )
    return PairNetwork(torch_config).eval()


def test_two_views_may_differ_in_size() -> None:
    network = tiny()
    with torch.no_grad():
        first, second = (
            network.encode(torch.zeros(1, 3, 32, 48)),
            network.encode(torch.ones(1, 3, 48, 16)),
        )
        output = network.decode(first, second)
    assert output.first_points.shape == (1, 32, 48, 3)
    assert output.second_confidence.shape == (1, 48, 16)


def test_confidence_is_above_one() -> None:
    network = tiny()
    with torch.no_grad():
        images = network.encode(torch.rand(2, 3, 32, 32))
        output = network.decode(images[[0]], images[[1]])
    assert float(output.first_confidence.min()) > 1


def test_sides_that_are_no_multiples_of_the_patch_are_refused() -> None:
    with pytest.raises(SceneError, match="multiples of 16"):
        tiny().encode(torch.zeros(1, 3, 40, 32))


def test_half_precision_leaves_the_heads_in_float32() -> None:
    network = tiny().set_precision(torch.bfloat16)
    with torch.no_grad():
        images = network.encode(torch.rand(1, 3, 32, 32))
        output = network.decode(images, images)
    assert images.tokens.dtype == torch.bfloat16
    assert output.first_points.dtype == torch.float32
