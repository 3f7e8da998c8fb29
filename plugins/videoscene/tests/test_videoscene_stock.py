"""Our order of calls against the stock transformer's forward, at sizes that no fixture has."""

import pytest
import torch

from sphinx_framework.errors import CapabilityError
from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework_videoscene.config import TransformerConfig, VideoSceneConfig, tiny_config
from sphinx_framework_videoscene.model import VideoScene
from sphinx_framework_videoscene.transformer import VideoTransformer

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("frames", "size", "options"),
    [
        (5, (2, 4), {}),
        (13, (6, 4), {"num_layers": 1, "num_attention_heads": 3}),
        (17, (4, 10), {"attention_head_dim": 32, "text_embed_dim": 7}),
        (9, (8, 8), {"max_text_seq_length": 1, "out_channels": 3, "in_channels": 6}),
        (49, (2, 2), {"time_embed_dim": 16}),
    ],
)
def test_whole_clips_are_the_stock_networks(frames, size, options) -> None:
    sizes = tiny_config().transformer.model_dump() | options
    sizes |= {"sample_frames": frames, "sample_height": size[0], "sample_width": size[1]}
    config = TransformerConfig(**sizes)
    torch.manual_seed(frames)
    ours = VideoTransformer(config).eval().requires_grad_(False)
    for weight in ours.parameters():
        weight.normal_(0, 0.2)  # the zeros of a fresh network would hide things
    latents = (frames - 1) // 4 + 1
    x = torch.randn(latents, config.in_channels, *size)
    text = torch.randn(1, config.max_text_seq_length, config.text_embed_dim)
    timestep = torch.tensor([331.0])
    rotary = tuple(part.flatten(0, 1) for part in ours._rotary(x.device))
    stock = ours.network(
        hidden_states=x[None],
        encoder_hidden_states=text,
        timestep=timestep,
        image_rotary_emb=rotary,
        return_dict=False,
    )[0]
    found = ours(x, timestep, text, DenseExecutor(latents))
    torch.testing.assert_close(found, stock[0], rtol=1e-4, atol=1e-5)


def tiny_of(frames: int) -> VideoSceneConfig:
    config = tiny_config()
    sizes = config.transformer.model_copy(update={"sample_frames": frames})
    return config.model_copy(update={"transformer": sizes})


@pytest.mark.parametrize("frames", [9, 17])
def test_a_clip_is_as_many_latents_as_its_layout_says_and_comes_back_whole(frames) -> None:
    model = VideoScene(tiny_of(frames), CPU)
    layouts = model.layouts(fake_scene(targets=frames + 2, size=(32, 48)))
    assert {len(layout) for layout in layouts} == {frames}
    assert sum(len(layout.targets) for layout in layouts) == frames + 2
    found = model.encode(torch.rand(frames, 3, 32, 48))
    assert len(found) == len(layouts[0].latents)
    assert model.decode(found).shape == (frames, 3, 32, 48)


@pytest.mark.parametrize("frames", [1, 5, 13])
def test_clips_that_the_autoencoder_does_not_give_back_are_refused_before_the_walk(frames) -> None:
    with pytest.raises(CapabilityError, match=f"not of {frames}") as error:
        VideoScene(tiny_of(frames), CPU).layouts(fake_scene(targets=3, size=(32, 48)))
    assert "sample_frames" in str(error.value.hint)
