"""The two streams: input views to keys and values, targets from them to pixels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework_efficient_lvsm.blocks import EPSILON, InputBlock, TargetBlock
from sphinx_framework_efficient_lvsm.config import OFFICIAL_PATCH, NetworkConfig


@dataclass(frozen=True, slots=True)
class EncodedViews:
    """All that the targets ever need of input views: keys and values of every layer.

    layers: per layer keys (0, normalised already) and values (1) of all tokens. The views of
    a layer lie side by side, so that targets read them without a copy.
    """

    layers: Float[Tensor, "l 2 v n h c"]

    def __len__(self) -> int:
        return self.layers.shape[2]

    @property
    def nbytes(self) -> int:
        """Memory of all views in all layers."""
        return self.layers.nbytes

    def chosen(self, places: Sequence[int]) -> "EncodedViews":
        """The views at these places: without a copy where they follow each other."""
        first, count = places[0], len(places)
        if list(places) == list(range(first, first + count)):
            return EncodedViews(self.layers[:, :, first : first + count])
        return EncodedViews(self.layers[:, :, list(places)])

    def of_layer(self, layer: int) -> tuple[Float[Tensor, "n h c"], Float[Tensor, "n h c"]]:
        """Keys and values of all tokens of all views."""
        keys, values = self.layers[layer].flatten(1, 2)
        return keys, values


def together(views: Iterable[EncodedViews], count: int) -> EncodedViews:
    """So many views that come one by one, side by side; each is let go once it is copied."""
    layers: Tensor | None = None
    for place, view in enumerate(views):
        if layers is None:
            depth, kinds, _, *sizes = view.layers.shape
            layers = view.layers.new_empty(depth, kinds, count, *sizes)
        layers[:, :, place : place + 1] = view.layers
    assert layers is not None, "no view"
    return EncodedViews(layers)


class Patches(nn.Module):
    """Maps to tokens: patches row by row, inside a patch row, column, channel (fastest)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B n e"]:
        cut = maps.unflatten(3, (-1, self.side)).unflatten(2, (-1, self.side))
        return cut.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


class EfficientLVSMNetwork(nn.Module):
    """Parameters have the official names; one width, one patch size, any number of views."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        side = config.patch_size or OFFICIAL_PATCH
        self.side = side
        layer = config.d, config.d_head, config.use_qk_norm
        self.rgbp_tokenizer = nn.Sequential(
            Patches(side), nn.Linear(9 * side**2, config.d, bias=False)
        )
        self.target_pose_tokenizer = nn.Sequential(
            Patches(side), nn.Linear(6 * side**2, config.d, bias=False)
        )
        self.input_self_attn_blocks = nn.ModuleList(
            InputBlock(*layer) for _ in range(config.n_layer)
        )
        self.self_cross_blocks = nn.ModuleList(TargetBlock(*layer) for _ in range(config.n_layer))
        self.image_token_decoder = nn.Sequential(
            nn.LayerNorm(config.d, eps=EPSILON, elementwise_affine=False),
            nn.Linear(config.d, 3 * side**2, bias=False),
            nn.Sigmoid(),
        )

    def encode(self, posed: Float[Tensor, "V 9 H W"]) -> EncodedViews:
        """Encode input views; no view sees another one, so the order is free."""
        x = self.rgbp_tokenizer(posed)
        parts: list[Tensor] = []
        for own, cross in zip(self.input_self_attn_blocks, self.self_cross_blocks, strict=True):
            x = own(x)
            parts += cross.keys_values(x)  # type: ignore[operator]
        return EncodedViews(torch.stack(parts).unflatten(0, (-1, 2)))

    def render(
        self, targets: Float[Tensor, "T 6 H W"], views: EncodedViews
    ) -> Float[Tensor, "T 3 H W"]:
        """Render targets from encoded views, in [0, 1]; no target sees another one."""
        height, width = targets.shape[-2:]
        y = self.target_pose_tokenizer(targets)
        for layer, block in enumerate(self.self_cross_blocks):
            shared = (part.expand(len(y), *part.shape) for part in views.of_layer(layer))
            y = block(y, *shared)
        return self.unpatched(self.image_token_decoder(y), (height, width))

    def unpatched(
        self, tokens: Float[Tensor, "T n e"], size: tuple[int, int]
    ) -> Float[Tensor, "T 3 H W"]:
        """Tokens of (row, column, channel) to images."""
        rows, columns = (length // self.side for length in size)
        cut = tokens.unflatten(2, (self.side, self.side, 3)).unflatten(1, (rows, columns))
        return cut.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
