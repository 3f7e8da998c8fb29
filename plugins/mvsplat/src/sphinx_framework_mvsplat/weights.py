"""Official checkpoints, local files or seeded noise into an encoder (spec section 1)."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError, suggestion
from sphinx_framework.weights import check_sha256, hub_file, require_fit
from sphinx_framework_mvsplat.config import MVSplatConfig

OFFICIAL = {"re10k": "re10k.ckpt", "acid": "acid.ckpt"}
FOLDER_VARIABLE = "SPHINX_MVSPLAT_WEIGHTS"
PREFIX = "encoder."
DOWNLOAD = "https://drive.google.com/drive/folders/14_E_5R6ojOWnLSrSVLVEMHnTiKsfddjU"


def load_weights(network: nn.Module, config: MVSplatConfig) -> None:
    """Fill ``network`` as ``config.weights`` says; its tensors may still be on the meta device.

    Raises:
        WeightsError: the file is missing, unreadable, not the one that ``weights_sha256`` names,
            or holds other tensors than the network's.
    """
    if config.weights == "random":
        randomise(network, config.seed)
        return
    path = find_weights(config)
    if config.weights_sha256 is not None:
        check_sha256(path, config.weights_sha256, "mvsplat")
    state = encoder_state(read_checkpoint(path))
    require_fit(
        network.state_dict(),
        state,
        f"mvsplat: {path}",
        "Use an official MVSplat checkpoint, or set the encoder's sizes to those of this file.",
    )
    network.load_state_dict(state, strict=True, assign=True)
    network.float()


def find_weights(config: MVSplatConfig) -> Path:
    """Return the path of the checkpoint: a given file, or an official one by its name."""
    name = OFFICIAL.get(config.weights)
    if name is None:
        path = Path(config.weights).expanduser()
        if not path.is_file():
            close = suggestion(config.weights, [*OFFICIAL, "random"])
            raise WeightsError(
                f"mvsplat: no checkpoint at {config.weights!r}.",
                hint=f"{close}Give 're10k', 'acid', 'random' or the path of a .ckpt or "
                ".safetensors file.",
            )
        return path
    if config.weights_repo is not None:
        return hub_file(config.weights_repo, name, revision=config.weights_revision, what="mvsplat")
    folder = weights_folder(config)
    if not (folder / name).is_file():
        raise WeightsError(
            f"mvsplat: the official checkpoint {name} is not in {folder}.",
            hint=f"Download {name} from {DOWNLOAD} (linked from the README of donydchen/mvsplat) "
            f"into that folder, name its folder by weights_folder or ${FOLDER_VARIABLE}, or give "
            "its path as weights.",
        )
    return folder / name


def weights_folder(config: MVSplatConfig) -> Path:
    """Return the folder in which official files are looked for."""
    chosen = config.weights_folder or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path.home() / ".cache" / "sphinx-framework" / "mvsplat"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a ``.safetensors`` file or a pickled checkpoint; nothing in it is executed.

    Raises:
        WeightsError: the file is damaged or not a checkpoint.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            # Optimiser and callback state of a training checkpoint may hold any Python object.
            content = torch.load(
                path, map_location="cpu", weights_only=False, pickle_module=_TENSORS_ONLY
            )
    except Exception as cause:  # torch and safetensors raise many unrelated types here
        raise WeightsError(
            f"mvsplat: {path} cannot be read as a checkpoint ({type(cause).__name__}: {cause}).",
            hint="The file may be cut short; download it again.",
        ) from cause
    if not isinstance(content, dict):
        raise WeightsError(f"mvsplat: {path} holds a {type(content).__name__}, not a state dict.")
    return content


def encoder_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """Select the encoder's tensors from a Lightning checkpoint or a plain state dict."""
    nested = checkpoint.get("state_dict")
    state = nested if isinstance(nested, dict) else checkpoint
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    prefixed = {
        key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)
    }
    return prefixed or tensors


def randomise(network: nn.Module, seed: int) -> None:
    """Fill with seeded noise that keeps activations in range: for tests and timing."""
    generator = torch.Generator().manual_seed(seed)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.normal_(0, fan_in**-0.5, generator=generator)
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)


class _Ignored:
    """Stands for any object of a training checkpoint that is not a tensor."""

    def __new__(cls, *args: Any, **options: Any) -> "_Ignored":
        return super().__new__(cls)

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def __call__(self, *args: Any, **options: Any) -> "_Ignored":
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass


class _TensorsOnlyUnpickler(pickle.Unpickler):
    """Builds tensors and plain containers; every other class becomes a harmless stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) in {
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_parameter"),
        }:
            return getattr(torch._utils, name)
        return _Ignored


def _load_tensors_only(file: IO[bytes], **options: Any) -> Any:
    return _TensorsOnlyUnpickler(file, **options).load()


_TENSORS_ONLY = SimpleNamespace(
    __name__="tensors_only", Unpickler=_TensorsOnlyUnpickler, load=_load_tensors_only
)
