"""The two streams: input views to keys and values, targets from them to pixels (section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework_efficient_lvsm.blocks import EPSILON, InputBlock, TargetBlock
from sphinx_framework_efficient_lvsm.config import OFFICIAL_PATCH, NetworkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedView:
    """All that the targets ever need of an input view: keys and values of every layer.

    keys, values: per layer, of the view's tokens; keys are normalised already.
    """

    keys: tuple[Float[Tensor, "n h c"], ...]
    values: tuple[Float[Tensor, "n h c"], ...]

    @property
    def nbytes(self) -> int:
        """Memory of all layers."""
        return sum(part.nbytes for part in (*self.keys, *self.values))


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

    def encode(self, posed: Float[Tensor, "V 9 H W"]) -> list[EncodedView]:
        """Encode input views; no view sees another one, so the order is free."""
        x = self.rgbp_tokenizer(posed)
        layers = []
        for own, cross in zip(self.input_self_attn_blocks, self.self_cross_blocks, strict=True):
            x = own(x)
            layers.append(cross.keys_values(x))  # type: ignore[operator]
        return [
            EncodedView(
                keys=tuple(key[view] for key, _ in layers),
                values=tuple(value[view] for _, value in layers),
            )
            for view in range(len(posed))
        ]

    def render(
        self, targets: Float[Tensor, "T 6 H W"], views: Sequence[EncodedView]
    ) -> Float[Tensor, "T 3 H W"]:
        """Render targets from encoded views, in [0, 1]; no target sees another one."""
        height, width = targets.shape[-2:]
        y = self.target_pose_tokenizer(targets)
        for layer, block in enumerate(self.self_cross_blocks):
            key = torch.cat([view.keys[layer] for view in views])
            value = torch.cat([view.values[layer] for view in views])
            shared = (part.expand(len(y), *part.shape) for part in (key, value))
            y = block(y, *shared)
        return self.unpatched(self.image_token_decoder(y), (height, width))

    def unpatched(
        self, tokens: Float[Tensor, "T n e"], size: tuple[int, int]
    ) -> Float[Tensor, "T 3 H W"]:
        """Tokens of (row, column, channel) to images."""
        rows, columns = (length // self.side for length in size)
        cut = tokens.unflatten(2, (self.side, self.side, 3)).unflatten(1, (rows, columns))
        return cut.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
