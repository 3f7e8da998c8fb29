"""The decoder that clips were prepared with, and another one that frames are decoded by."""

from pathlib import Path

import torch
from torch import Tensor

from sphinx_framework_lite.autoencoder import Autoencoder
from sphinx_framework_lite.weights import build


def decoders(other: Path | None, device: torch.device) -> tuple[Autoencoder, Autoencoder]:
    """The packaged autoencoder, and that of a file ``autoencoder.safetensors``, or the same."""
    packaged = build(Autoencoder, "autoencoder", "packaged", device)
    if other is None:
        return packaged, packaged
    return packaged, build(Autoencoder, "autoencoder", str(other.parent), device)


def renders(
    rows: dict[str, Tensor], prepared_with: Autoencoder, decoder: Autoencoder
) -> tuple[Tensor, Tensor]:
    """Renders of a prepared clip's frames, and what ``decoder`` loses of them."""
    render = prepared_with.decode(rows["base"]) + rows["lost"]
    if decoder is prepared_with:
        return render, rows["lost"]
    return render, render - decoder.decode(rows["base"])
