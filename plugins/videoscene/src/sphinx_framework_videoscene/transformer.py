"""The CogVideoX transformer on the rows of an executor.

Weights and layers are diffusers' (the keys of the official checkpoints); the order in which they
are called is here, because a step may hold some frames only. One row is one latent frame. The text
is updated from block to block, over the tokens of all frames.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.protocols import Executor, Tokens
from sphinx_framework_videoscene.config import TransformerConfig
from sphinx_framework_videoscene.library import diffusers

Rotary = tuple[Float[Tensor, "R n d"], Float[Tensor, "R n d"]]


class VideoTransformer(nn.Module):
    """Predicts the velocity of the held latent frames; ``network`` holds the checkpoint's keys."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.network = diffusers("CogVideoXTransformer3DModel")(
            **config.model_dump(),
            use_rotary_positional_embeddings=True,
            use_learned_positional_embeddings=True,
        )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Latent frames, and tokens of a frame along a column and a row."""
        config = self.config
        patch = config.patch_size
        frames = (config.sample_frames - 1) // config.temporal_compression_ratio + 1
        return frames, config.sample_height // patch, config.sample_width // patch

    def forward(
        self,
        x: Float[Tensor, "R C h w"],
        timestep: Float[Tensor, " 1"],
        text: Float[Tensor, "1 m E"],
        ops: Executor,
    ) -> Float[Tensor, "R D h w"]:
        """Velocity; ``x`` holds noisy and condition latents of a clip of the one length."""
        network = self.network
        embedding = network.time_embedding(network.time_proj(timestep).to(x.dtype))
        tokens, words = self._embedded(x, text, ops)
        angles = ops.constant("rotary", lambda: self._rotary(x.device))
        cosine, sine = (self._held(part, ops) for part in angles)
        for number, block in enumerate(network.transformer_blocks):
            tokens, words = self._block(
                block, f"block{number}", tokens, words, embedding, (cosine, sine), ops
            )
        # Upstream normalises text and image tokens together; both are normalised token by token.
        tokens = network.norm_out(network.norm_final(tokens), temb=embedding)
        return self._unpatched(network.proj_out(tokens), x.shape[2], x.shape[3])

    def _embedded(
        self, x: Tensor, text: Tensor, ops: Executor
    ) -> tuple[Float[Tensor, "R n D"], Float[Tensor, "1 m D"]]:
        """Tokens of the held frames and of the text, with the learned positions of the clip."""
        patches = self.network.patch_embed
        words = patches.text_proj(text)
        places = patches.pos_embedding.to(x.dtype)
        length = words.shape[1]
        of_frames = places[0, length:].unflatten(0, (self.grid[0], -1))
        tokens = patches.proj(x).flatten(2).transpose(1, 2)
        return tokens + self._held(of_frames, ops), words + places[:, :length]

    def _held(self, of_tokens: Float[Tensor, "T n d"], ops: Executor) -> Float[Tensor, "R m d"]:
        """What belongs to the tokens of the held frames or tiles, of all tokens of the clip."""
        maps = of_tokens.transpose(1, 2).unflatten(2, self.grid[1:])
        return ops.maps(maps).flatten(2).transpose(1, 2)

    def _rotary(self, device: torch.device) -> Float[Tensor, "2 T n d"]:
        """Cosines and sines of every token's place in the clip."""
        frames, height, width = self.grid
        angles = diffusers("get_3d_rotary_pos_embed", "diffusers.models.embeddings")
        parts = angles(
            embed_dim=self.config.attention_head_dim,
            crops_coords=((0, 0), (height, width)),
            grid_size=(height, width),
            temporal_size=frames,
            device=device,
        )
        return torch.stack([part.unflatten(0, (frames, -1)) for part in parts])

    def _block(
        self,
        block: Any,
        site: str,
        tokens: Tensor,
        words: Tensor,
        embedding: Tensor,
        rotary: Rotary,
        ops: Executor,
    ) -> tuple[Tensor, Tensor]:
        """One block: joint attention, then the feed-forward layer, each scaled by the timestep."""
        normed, normed_words, gate, gate_words = block.norm1(tokens, words, embedding)
        mixed, mixed_words = self._attention(block.attn1, site, normed, normed_words, rotary, ops)
        tokens, words = tokens + gate * mixed, words + gate_words * mixed_words
        normed, normed_words, gate, gate_words = block.norm2(tokens, words, embedding)
        return tokens + gate * block.ff(normed), words + gate_words * block.ff(normed_words)

    def _attention(
        self,
        layer: Any,
        site: str,
        tokens: Tensor,
        words: Tensor,
        rotary: Rotary,
        ops: Executor,
    ) -> tuple[Tensor, Tensor]:
        """Every token of every frame and of the text over all of them."""
        heads = self.config.num_attention_heads
        own, outside = (
            Tokens(
                query=_normed(layer.norm_q, layer.to_q(given), heads, angles),
                key=_normed(layer.norm_k, layer.to_k(given), heads, angles),
                value=layer.to_v(given),
            )
            for given, angles in ((tokens, rotary), (words, None))
        )
        mixed, mixed_words = ops.joint_attention(site, own, outside, heads)
        return layer.to_out[0](mixed), layer.to_out[0](mixed_words)

    def _unpatched(
        self, tokens: Float[Tensor, "R n D"], height: int, width: int
    ) -> Float[Tensor, "R C h w"]:
        """Tokens to latent cells: channels outermost, then the patch's rows and columns."""
        patch = self.config.patch_size
        cells = tokens.unflatten(2, (-1, patch, patch))
        cells = cells.unflatten(1, (height // patch, width // patch))  # [R y x C p q]
        return cells.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def _normed(
    norm: nn.Module, projected: Float[Tensor, "B n D"], heads: int, angles: Rotary | None
) -> Float[Tensor, "B n D"]:
    """Queries or keys, normalised per head and, for image tokens, turned by their place."""
    split = norm(projected.unflatten(2, (heads, -1)))  # [B n heads d]
    if angles is None:
        return split.flatten(2)
    cosine, sine = (part[:, :, None] for part in angles)
    real, imaginary = split.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-imaginary, real], dim=-1).flatten(-2)
    return (split.float() * cosine + turned.float() * sine).to(projected.dtype).flatten(2)
