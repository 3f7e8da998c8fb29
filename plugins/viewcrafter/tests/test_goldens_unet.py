"""The U-Net against the authors' numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from goldens import Golden, golden
from torch import Tensor, nn

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework_viewcrafter.blocks import Context, ResBlock
from sphinx_framework_viewcrafter.network import UNet
from sphinx_framework_viewcrafter.transformers import TokenConv1d

pytestmark = pytest.mark.usefixtures("defined")


@pytest.fixture(autouse=True)
def _kernel_one_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the golden files were made; on real sizes the linear layer takes half the time."""

    def forward(self: TokenConv1d, x: Tensor) -> Tensor:
        return nn.Conv1d.forward(self, x.permute(1, 2, 0).contiguous()).permute(2, 0, 1)

    monkeypatch.setattr(TokenConv1d, "forward", forward)


def network_of(fixture: Golden, upstream: Any) -> UNet:
    network = UNet(upstream.unet(fixture.info["config"])).eval()
    network.load_state_dict(fixture.under("param/"), strict=True)
    return network


@contextmanager
def one_embedding_a_row(network: UNet, rows: int) -> Iterator[None]:
    """Repeat the embedding before the layers of a block, as the golden files do, not after.

    A product with one row rounds differently from one with many.
    """

    def repeat(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return inputs[0].repeat_interleave(rows // len(inputs[0]), dim=0)

    blocks = [module for module in network.modules() if isinstance(module, ResBlock)]
    hooks = [block.emb_layers.register_forward_pre_hook(repeat) for block in blocks]
    yield
    for hook in hooks:
        hook.remove()


def run(network: UNet, fixture: Golden, case: str, upstream: Any, to_rows: Any) -> Tensor:
    x, tokens = fixture.tensors[f"in/{case}_x"], fixture.tensors[f"in/{case}_context"]
    frames, text = x.shape[2], upstream.text_tokens
    image = tokens[:, text:]
    per_frame = image.shape[1] == upstream.queries_per_frame * frames
    if per_frame:
        image = image.unflatten(1, (frames, -1)).flatten(0, 1)
    with one_embedding_a_row(network, x.shape[0] * frames):
        return network(
            to_rows(x),
            fixture.tensors[f"in/{case}_timesteps"],
            fixture.tensors[f"in/{case}_fs"],
            Context(text=tokens[:, :text], image=image, per_frame=per_frame),
            DenseExecutor(frames),
        )


def cases(fixture: Golden) -> list[str]:
    return sorted(key.removeprefix("out/") for key in fixture.tensors if key.startswith("out/"))


def test_the_network_reproduces_the_authors_predictions_with_shared_and_per_frame_context(
    upstream: Any, to_rows: Any, to_clip: Any, close: Any
) -> None:
    fixture = golden("viewcrafter_unet")
    network = network_of(fixture, upstream)
    assert cases(fixture)
    for case in cases(fixture):
        expected = fixture.tensors[f"out/{case}"]
        found = run(network, fixture, case, upstream, to_rows)
        close(to_clip(found, len(expected)), expected, fixture)


def test_every_named_module_reproduces_the_authors_intermediate_output(
    upstream: Any, to_rows: Any, to_clip: Any, close: Any
) -> None:
    fixture, middle = golden("viewcrafter_unet"), golden("viewcrafter_unet_mid")
    network = network_of(fixture, upstream)
    outputs: dict[str, Tensor] = {}
    wanted: dict[str, dict[str, str]] = {}
    for key in middle.tensors:
        case, name = key.removeprefix("mid/").split("_", 1)
        wanted.setdefault(case, {})[name] = key

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[name] = output

        return hook

    for case, names in wanted.items():
        for name in names:
            network.get_submodule(name).register_forward_hook(keep(name))
        run(network, fixture, case, upstream, to_rows)
        batch = fixture.tensors[f"in/{case}_x"].shape[0]
        for name, key in names.items():
            expected, found = middle.tensors[key], outputs[name]
            close(to_clip(found, batch) if expected.ndim == 5 else found, expected, middle)


def test_another_batch_entry_does_not_change_a_prediction(
    upstream: Any, to_rows: Any, to_clip: Any
) -> None:
    fixture = golden("viewcrafter_unet")
    network = network_of(fixture, upstream)
    for case in cases(fixture):
        whole = run(network, fixture, case, upstream, to_rows)
        first = {
            key: value[:1] if key.startswith(f"in/{case}") else value
            for key, value in fixture.tensors.items()
        }
        alone = Golden(name=fixture.name, info=fixture.info, tensors=first)
        found = run(network, alone, case, upstream, to_rows)
        torch.testing.assert_close(found, whole[: len(found)], rtol=1e-4, atol=1e-5)
