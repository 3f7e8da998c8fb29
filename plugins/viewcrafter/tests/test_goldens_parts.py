"""Autoencoder, CLIP towers, Resampler and centre crop against the authors' numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from goldens import Golden, golden
from torch import Tensor, nn

from sphinx_framework_viewcrafter.clip_image import ImageTower, preprocess
from sphinx_framework_viewcrafter.clip_text import text_tower
from sphinx_framework_viewcrafter.resampler import Resampler
from sphinx_framework_viewcrafter.vae import Autoencoder

pytestmark = pytest.mark.usefixtures("defined")


def filled(network: nn.Module, fixture: Golden, prefix: str = "param/") -> nn.Module:
    """Load what the network has; what else a tower's golden file holds is not run."""
    state = fixture.under(prefix)
    network.load_state_dict({key: state[key] for key in network.state_dict()}, strict=True)
    return network.eval()


@contextmanager
def recorded(network: nn.Module, names: dict[str, str]) -> Iterator[dict[str, Tensor]]:
    """Collect the outputs of modules by the golden files' names of them."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, inputs, output: outputs.update({name: output})

    hooks = [
        network.get_submodule(path).register_forward_hook(keep(name))
        for name, path in names.items()
    ]
    yield outputs
    for hook in hooks:
        hook.remove()


def test_the_autoencoder_reproduces_posterior_latents_and_images(upstream: Any, close: Any) -> None:
    fixture = golden("viewcrafter_vae")
    network = Autoencoder(upstream.autoencoder(fixture.info["config"]))
    network.load_state_dict(fixture.under("param/"), strict=True)
    tensors = fixture.tensors
    inside = {
        "mid/encoder_out": "network.encoder",
        "mid/moments": "network.quant_conv",
        "mid/decoder_conv_in": "network.decoder.conv_in",
        "mid/decoder_mid": "network.decoder.mid_block",
    }
    with recorded(network, inside) as outputs:
        posterior = network.posterior(tensors["in/image"])
        decoded = network.decode(tensors["in/latent"])
    for name in inside:
        close(outputs[name], tensors[name], fixture)
    close(posterior.mean, tensors["out/mean"], fixture)
    close(posterior.logvar, tensors["out/logvar"], fixture)
    latents = network.scale_factor * (posterior.mean + posterior.std * tensors["in/noise"])
    close(latents, tensors["out/latent"], fixture)
    close(decoded, tensors["out/decoded"], fixture)


def test_the_image_tower_reproduces_preprocessing_and_all_tokens(upstream: Any, close: Any) -> None:
    fixture = golden("viewcrafter_clip_image")
    config, tensors = upstream.image_tower(fixture.info["config"]), fixture.tensors
    images = tensors["in/image_u8"].float() / 127.5 - 1
    prepared = preprocess(images, config.image_size)
    corner = tensors["mid/preprocessed_crop_0_16"]
    close(prepared[..., : corner.shape[-2], : corner.shape[-1]], corner, fixture)
    close(prepared.mean(-1), tensors["mid/preprocessed_mean_rows"], fixture)
    close(prepared.mean(-2), tensors["mid/preprocessed_mean_cols"], fixture)
    tower = filled(ImageTower(config), fixture, "param/model.")
    with recorded(tower, {"mid/ln_pre": "visual.ln_pre"}) as outputs:
        close(tower(images), tensors["out/y"], fixture)
    close(outputs["mid/ln_pre"], tensors["mid/ln_pre"], fixture)


def test_the_text_tower_reproduces_all_tokens(upstream: Any, close: Any) -> None:
    fixture = golden("viewcrafter_clip_text")
    tower = filled(text_tower(upstream.text_tower(fixture.info["config"])), fixture, "param/model.")
    blocks = {
        key: f"transformer.resblocks.{key.removeprefix('mid/block')}"
        for key in fixture.tensors
        if key.startswith("mid/block")
    }
    with recorded(tower, blocks) as outputs:
        close(tower(fixture.tensors["in/tokens"]), fixture.tensors["out/y"], fixture)
    for key in blocks:
        close(outputs[key], fixture.tensors[key], fixture)


def test_the_resampler_reproduces_the_context_tokens(upstream: Any, close: Any) -> None:
    fixture = golden("viewcrafter_resampler")
    network = Resampler(upstream.resampler(fixture.info["config"]))
    network.load_state_dict(fixture.under("param/"), strict=True)
    layers = range(len(network.layers))
    inside = {f"layer{i}_after_ff": f"layers.{i}" for i in layers}
    # An attention returns what it adds to the latents.
    inside |= {f"layer{i}_after_attn": f"layers.{i}.0" for i in layers}
    with recorded(network, inside) as outputs:
        close(network(fixture.tensors["in/x"]), fixture.tensors["out/y"], fixture)
    latents = network.latents
    for i in layers:
        outputs[f"layer{i}_after_attn"] = latents + outputs[f"layer{i}_after_attn"]
        latents = outputs[f"layer{i}_after_ff"]
    expected = fixture.under("mid/")
    assert expected
    for name, value in expected.items():
        close(outputs[name], value, fixture)


def test_a_grey_image_stays_grey_through_preprocessing_at_any_size() -> None:
    small = preprocess(torch.zeros(1, 3, 28, 28), 28)
    large = preprocess(torch.zeros(1, 3, 64, 112), 28)
    torch.testing.assert_close(small, large)
