"""pyiqa's MUSIQ network with its weights."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sphinx_framework.errors import BrokenPluginError, WeightsError, suggestion
from sphinx_framework.torchvision_import import ensure_torchvision_imports

SINGLE_SCORE = ("koniq10k", "spaq", "paq2piq")
LISTED_KEYS = 5


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
    """Path of pyiqa's cached checkpoint, fetched the first time."""
    from pyiqa.utils.download_util import load_file_from_url

    url = musiq.default_model_urls[name]
    try:
        # pyiqa prints; standard output belongs to the caller's JSON.
        with contextlib.redirect_stdout(sys.stderr):
            return Path(load_file_from_url(url))
    except OSError as error:
        # The network's errors (urllib's, requests') are all OSErrors.
        raise WeightsError(
            f"MUSIQ weights {name!r} cannot be downloaded from {url}: {error}.",
            hint="Fetch the file once and give its path (quality.weights=PATH).",
        ) from None


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
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def _load(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    expected = network.state_dict()
    missing = sorted(expected.keys() - state.keys())
    foreign = sorted(state.keys() - expected.keys())
    shared = expected.keys() & state.keys()
    wrong = sorted(k for k in shared if getattr(state[k], "shape", None) != expected[k].shape)
    if missing or foreign or wrong:
        found = [
            f"{len(keys)} {what} ({', '.join(keys[:LISTED_KEYS])})"
            for what, keys in (
                ("missing", missing),
                ("unknown", foreign),
                ("of wrong shape", wrong),
            )
            if keys
        ]
        raise WeightsError(
            f"MUSIQ weights {path} do not fit the network: {'; '.join(found)}.",
            hint="Expected is pyiqa's checkpoint of MUSIQ with one score.",
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
