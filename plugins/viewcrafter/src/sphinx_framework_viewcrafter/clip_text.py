"""The OpenCLIP text tower as ViewCrafter uses it: all but the last block, all tokens."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sphinx_framework.errors import ConfigError
from sphinx_framework_viewcrafter.clip_layers import ClipTransformer
from sphinx_framework_viewcrafter.config import DEFAULT_PROMPT, TextTowerConfig

START, END = 49406, 49407
# Byte-pair ids of the prompts everybody uses, so that they need no tokenizer.
KNOWN_PROMPTS: dict[str, tuple[int, ...]] = {
    DEFAULT_PROMPT: (32265, 1093, 539, 320, 3562),
    "": (),
}


class TextTower(nn.Module):
    """Token ids to context tokens; the checkpoint's last block and projection are not built."""

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, config.width))
        self.transformer = ClipTransformer(
            config.width, config.heads, config.layers - 1, causal=True
        )
        self.ln_final = nn.LayerNorm(config.width)

    def forward(self, tokens: Int[Tensor, "V n"]) -> Float[Tensor, "V n C"]:
        """Embed token ids of length ``context_length``."""
        x = self.token_embedding(tokens) + self.positional_embedding
        out: Tensor = self.ln_final(self.transformer(x))
        return out


def tokenize(prompt: str, config: TextTowerConfig) -> Int[Tensor, "1 n"]:
    """Token ids of a prompt: start, text, end, zeros.

    The known prompts are tabulated; others need the package open-clip-torch. Ids wrap around in
    the small vocabularies of random towers.

    Raises:
        ConfigError: a prompt that is not tabulated where open_clip cannot be imported.
    """
    ids = list(KNOWN_PROMPTS[prompt]) if prompt in KNOWN_PROMPTS else _byte_pairs(prompt)
    ids = [START, *ids[: config.context_length - 2], END]
    tokens = torch.zeros(1, config.context_length, dtype=torch.long)
    tokens[0, : len(ids)] = torch.tensor(ids) % config.vocab_size
    return tokens


def _byte_pairs(prompt: str) -> list[int]:
    try:
        from open_clip import SimpleTokenizer
    # A torchvision that does not match torch raises RuntimeError inside that import.
    except (ImportError, RuntimeError) as error:
        raise ConfigError(
            f"the prompt {prompt!r} must be tokenized, but open_clip cannot be imported: {error}.",
            hint="Install sphinx-framework-viewcrafter[prompts], or keep the default prompts.",
        ) from None
    ids: list[int] = SimpleTokenizer().encode(prompt)
    return ids
