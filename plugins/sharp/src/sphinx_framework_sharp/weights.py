"""The official checkpoint, a local file or seeded noise into the network (spec section 1)."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError, suggestion
from sphinx_framework.weights import check_sha256, first_line, hub_file, require_fit
from sphinx_framework_sharp.config import SharpConfig

OFFICIAL = "sharp"
FILE = "sharp_2572gikvuh.pt"
FOLDER_VARIABLE = "SPHINX_SHARP_WEIGHTS"
DOWNLOAD = f"https://ml-site.cdn-apple.com/models/sharp/{FILE}"


def load_weights(network: nn.Module, config: SharpConfig) -> None:
    """Fill ``network``, which may be on the meta device, as ``config.weights`` says.

    Raises:
        WeightsError: the file is missing, unreadable, not the one that ``weights_sha256`` names,
            or holds other tensors than the network's.
    """
    if config.weights == "random":
        randomise(network, config.seed)
        return
    path = find_weights(config)
    if config.weights_sha256 is not None:
        check_sha256(path, config.weights_sha256, "sharp")
    state = read_checkpoint(path)
    require_fit(
        network.state_dict(),
        state,
        f"sharp: {path}",
        "Use the official SHARP checkpoint, or set the network's sizes to those of this file.",
    )
    network.load_state_dict(state, strict=True, assign=True)
    network.float()


def find_weights(config: SharpConfig) -> Path:
    """Return the path of the checkpoint: a given file, or the official one."""
    if config.weights != OFFICIAL:
        path = Path(config.weights).expanduser()
        if not path.is_file():
            close = suggestion(config.weights, [OFFICIAL, "random"])
            raise WeightsError(
                f"sharp: no checkpoint at {config.weights!r}.",
                hint=f"{close}Give 'sharp', 'random' or the path of a .pt or .safetensors file.",
            )
        return path
    if config.weights_repo is not None:
        return hub_file(config.weights_repo, FILE, revision=config.weights_revision, what="sharp")
    chosen = config.weights_folder or os.environ.get(FOLDER_VARIABLE)
    default = Path.home() / ".cache" / "sphinx-framework" / "sharp"
    folder = Path(chosen).expanduser() if chosen else default
    if not (folder / FILE).is_file():
        raise WeightsError(
            f"sharp: the official checkpoint {FILE} is not in {folder}.",
            hint=f"Download {DOWNLOAD} (Apple's research licence: not for commercial use) into "
            f"that folder, name its folder by weights_folder or ${FOLDER_VARIABLE}, or give its "
            "path as weights.",
        )
    return folder / FILE


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a ``.safetensors`` file or a plain state dict; nothing in it is executed.

    Raises:
        WeightsError: the file is damaged or not a checkpoint.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch and safetensors raise many unrelated types here
        raise WeightsError(
            f"sharp: {path} cannot be read as a checkpoint "
            f"({type(cause).__name__}: {first_line(cause)}).",
            hint="The file may be cut short; download it again.",
        ) from cause
    tensors = (
        {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise WeightsError(f"sharp: {path} holds no tensors.", hint="Is it the right file?")
    return tensors


@torch.no_grad()
def randomise(network: nn.Module, seed: int) -> None:
    """Fill with seeded noise that keeps activations in range: for tests and timing."""
    generator = torch.Generator().manual_seed(seed)
    network.to_empty(device="cpu")
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        # A disparity of 0 everywhere would put all content at the far end.
        if name.endswith("head.4.bias"):
            parameter.fill_(1.0)
