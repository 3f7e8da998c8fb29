"""The network against the goldens; all sizes come from the files."""

import pytest
import torch
from goldens import Golden, golden
from torch import nn

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.nn import Downsample, Upsample, bind_sites
from sphinx_framework_seva.blocks import ResBlock
from sphinx_framework_seva.config import Architecture
from sphinx_framework_seva.network import UNet, resized, sinusoidal_embedding
from sphinx_framework_seva.signals import Signals
from sphinx_framework_seva.transformer import MultiviewTransformer


def architecture(values: dict) -> Architecture:
    return Architecture(**{k: v for k, v in values.items() if k in Architecture.model_fields})


def check(result: torch.Tensor, fixture: Golden, name: str) -> None:
    torch.testing.assert_close(result, fixture.tensors[name], **fixture.info["tolerance"])


def test_official_keys_and_shapes_equal_the_manifest() -> None:
    manifest = golden("seva_full_manifest").info
    with torch.device("meta"):
        network = UNet(architecture(manifest["constructor"]))
    expected = {key: tuple(shape) for key, (shape, _) in manifest["state_dict"].items()}
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == expected
    assert sum(p.numel() for p in network.parameters()) == manifest["total_parameters"]


def test_default_architecture_is_the_official_one() -> None:
    manifest = golden("seva_full_manifest").info
    given, default = architecture(manifest["constructor"]), Architecture()
    assert given.clip_wide == default.clip_wide
    assert given.depths == default.depths
    names = set(Architecture.model_fields) - {"unflatten_names", "transformer_depth"}
    assert given.model_dump(include=names) == default.model_dump(include=names)


@pytest.fixture
def blocks() -> Golden:
    return golden("seva_blocks")


def loaded(module: nn.Module, fixture: Golden, name: str) -> nn.Module:
    module.load_state_dict(fixture.under(f"param/{name}."), strict=True)
    root = nn.Module()
    root.add_module(name, module)
    bind_sites(root)
    return module.requires_grad_(False)


def signals(fixture: Golden, size: torch.Size) -> Signals:
    frames = fixture.info["config"]["T"]
    context = fixture.tensors["in/context"]
    leading = context.unflatten(0, (-1, frames))[:, :1].expand(-1, frames, -1, -1).flatten(0, 1)
    return Signals(
        time=fixture.tensors["in/emb"],
        context=context,
        leading=leading,
        dense={1: resized(fixture.tensors["in/dense"], tuple(size[2:]))},
    )


def test_residual_blocks_and_resolution_changes_match(blocks: Golden) -> None:
    c, x = blocks.info["config"], blocks.tensors["in/x"]
    ops, given = DenseExecutor(c["T"]), signals(blocks, x.shape)
    first = loaded(ResBlock(c["cin"], c["cout"], c["emb"], c["dense"], 1), blocks, "resblock")
    same = loaded(ResBlock(c["cout"], c["cout"], c["emb"], c["dense"], 1), blocks, "resblock_same")
    down = loaded(Downsample(c["cout"]), blocks, "down")
    up = loaded(Upsample(c["cout"]), blocks, "up")
    r = first(x, given, ops)
    check(r, blocks, "out/resblock")
    check(same(r, given, ops), blocks, "out/resblock_same")
    small = down(r, given, ops)
    check(small, blocks, "out/down")
    check(up(small, given, ops), blocks, "out/up")


def test_residual_block_without_kept_modulations_is_the_same(blocks: Golden) -> None:
    c, x = blocks.info["config"], blocks.tensors["in/x"]
    given = signals(blocks, x.shape)
    block = loaded(ResBlock(c["cin"], c["cout"], c["emb"], c["dense"], 1), blocks, "resblock")
    fresh = Signals(
        time=given.time,
        context=given.context,
        leading=given.leading,
        dense=given.dense,
        keep_modulations=False,
    )
    ops = DenseExecutor(c["T"])
    check(block(x, fresh, ops), blocks, "out/resblock")
    assert not ops.constants


@pytest.mark.parametrize("name", ["mvt_spatial", "mvt_3d"])
def test_multiview_transformers_match_with_all_intermediates(blocks: Golden, name: str) -> None:
    c, x = blocks.info["config"], blocks.tensors["out/resblock"]
    transformer = MultiviewTransformer(
        c["cout"], c["heads"], c["dh"], c["ctx"], clip_wide=name == "mvt_3d"
    )
    loaded(transformer, blocks, name)
    seen = {}
    watched = {
        "norm": transformer.norm,
        "proj_in": transformer.proj_in,
        "transformer_block": transformer.transformer_blocks[0],
        "time_mix_block": transformer.time_mix_blocks[0],
    }
    for part, module in watched.items():
        module.register_forward_hook(lambda m, i, out, part=part: seen.update({part: out}))
    result = transformer(x, signals(blocks, x.shape), DenseExecutor(c["T"]))
    check(result, blocks, f"out/{name}")
    for part, value in seen.items():
        expected = blocks.tensors[f"mid/{name}.{part}"]
        torch.testing.assert_close(
            value.reshape(expected.shape), expected, **blocks.info["tolerance"]
        )


def test_time_step_embeddings_match(blocks: Golden) -> None:
    names = [name for name in blocks.tensors if name.startswith("out/temb_")]
    assert names
    for name in names:
        size = int(name.rsplit("_", 1)[1])
        check(sinusoidal_embedding(blocks.tensors["in/timesteps"], size), blocks, name)


@pytest.fixture(scope="module")
def unet() -> tuple[Golden, UNet]:
    fixture = golden("seva_unet")
    network = UNet(architecture(fixture.info["config"])).requires_grad_(False)
    network.load_state_dict(fixture.under("param/"), strict=True)
    return fixture, network


def run(fixture: Golden, network: UNet, context: str) -> torch.Tensor:
    frames, t = fixture.info["num_frames_argument"], fixture.tensors
    rows = len(t["in/x"])
    return network(
        t["in/x"],
        t["in/t"],
        t[context],
        t["in/dense_y"],
        DenseExecutor(frames),
        branches=rows // frames,
    )


def test_network_with_one_context_token_matches_with_all_intermediates(
    unet: tuple[Golden, UNet],
) -> None:
    fixture, network = unet
    shapes = fixture.info["mid_full_shapes"]
    seen: dict[str, torch.Tensor] = {}
    handles = [
        network.get_submodule(name.removeprefix("mid/")).register_forward_hook(
            lambda m, i, out, name=name: seen.update({name: out})
        )
        for name in shapes
    ]
    result = run(fixture, network, "in/y")
    for handle in handles:
        handle.remove()
    check(result, fixture, "out/eps")
    kept_row = fixture.info["num_frames_argument"] + 1
    for name, shape in shapes.items():
        # Clip-wide blocks are stored with the tokens of all frames of a group in one row.
        value = seen[name].reshape(shape)
        if len(fixture.tensors[name]) != shape[0]:
            value = value[kept_row : kept_row + 1]
        check(value, fixture, name)


def test_network_with_several_context_tokens_matches(unet: tuple[Golden, UNet]) -> None:
    fixture, network = unet
    contexts = [name for name in fixture.tensors if name.startswith("in/y_")]
    assert contexts
    for name in contexts:
        check(run(fixture, network, name), fixture, name.replace("in/y_", "out/eps_"))
