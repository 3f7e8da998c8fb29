"""pyiqa's MUSIQ network with its weights."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sphinx_framework.errors import BrokenPluginError, WeightsError, suggestion
from sphinx_framework.torchvision_import import ensure_torchvision_imports
from sphinx_framework.weights import check_sha256, hub_file, require_fit

SINGLE_SCORE = ("koniq10k", "spaq", "paq2piq")
REPOSITORY = "chaofengc/IQA-PyTorch-Weights"
REVISION = "0df2df423c65f6a64209309695f3845727431027"


def musiq_network(weights: str, seed: int) -> nn.Module:
    """Build the network in evaluation mode, frozen.

    weights: a name of :data:`SINGLE_SCORE`, a checkpoint's path, or ``"random"``.

    Raises :class:`WeightsError` when the weights cannot be had or do not fit.
    """
    musiq = _import_musiq()
    with torch.random.fork_rng(devices=[]):
        # Building draws initial weights: the caller's random stream stays as it was.
        network: nn.Module = musiq.MUSIQ(pretrained=False)
    if weights == "random":
        _randomise(network, seed)
    else:
        path = _downloaded(musiq, weights) if weights in SINGLE_SCORE else _existing(weights)
        _load(network, _checkpoint(path), path)
    return network.eval().requires_grad_(False)


def _import_musiq() -> Any:
    try:
        ensure_torchvision_imports()
        import pyiqa.archs.musiq_arch as musiq
    except (ImportError, RuntimeError) as error:
        raise BrokenPluginError(
            f"musiq needs pyiqa, which cannot be imported: {error}.",
            hint="Install it (non-commercial licence): pip install 'sphinx-framework-musiq[pyiqa]'"
            ", with a torchvision that was built for the installed torch.",
        ) from None
    return musiq


def _downloaded(musiq: Any, name: str) -> Path:
    """Path of the cached checkpoint, fetched the first time from where pyiqa keeps its weights."""
    filename = musiq.default_model_urls[name].rpartition("/")[2]
    path = hub_file(
        REPOSITORY,
        filename,
        revision=REVISION,
        what="MUSIQ",
        hint="Or fetch the file once and give its path (quality.weights=PATH).",
    )
    # The names end in the first digits of the SHA-256, as torch.hub's do.
    check_sha256(path, path.stem.rpartition("-")[2], "MUSIQ")
    return path


def _existing(weights: str) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(
            f"MUSIQ weights {weights!r} are neither a file nor a known name.",
            hint=f"{suggestion(weights, SINGLE_SCORE)}Known: {', '.join(SINGLE_SCORE)}.",
        )
    return path


def _checkpoint(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Pickle, zip and safetensors each raise their own.
        raise WeightsError(
            f"MUSIQ weights {path}: not a readable checkpoint ({type(error).__name__})."
        ) from None
    if not isinstance(state, dict):
        raise WeightsError(f"MUSIQ weights {path}: holds {type(state).__name__}, not parameters.")
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    return {str(key).removeprefix("module."): value for key, value in tensors.items()}


def _load(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    require_fit(
        network.state_dict(),
        state,
        f"MUSIQ weights {path}",
        "Expected is pyiqa's checkpoint of MUSIQ with one score.",
    )
    network.load_state_dict(state)


def _randomise(network: nn.Module, seed: int) -> None:
    """Fill all matrices and tokens by the seed, biases with 0; the rest is constant as built."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(network.named_parameters()):
            if name.endswith("bias"):
                weight.zero_()
            elif weight.ndim > 1:
                scale = weight[0].numel() ** -0.5
                weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
