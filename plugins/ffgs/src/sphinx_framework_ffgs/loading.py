"""Loads a pipeline of ffgs, which is imported when a component is built."""

import sys
from contextlib import redirect_stdout
from typing import Any

import torch

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import ensure_torchvision_imports, first_line
from sphinx_framework_ffgs.config import FfgsConfig


def ffgs() -> Any:
    """The package.

    Raises:
        WeightsError: it is not installed, or does not import.
    """
    ensure_torchvision_imports()
    try:
        import ffgs
    except Exception as error:  # a torchvision that does not fit fails in many ways
        raise WeightsError(
            f"the package ffgs cannot be imported: {first_line(error)}",
            hint="pip install 'sphinx-framework-ffgs[models]'. It holds code for non-commercial "
            "use only: read its licence first.",
        ) from error
    return ffgs


def loaded(config: FfgsConfig, device: torch.device) -> Any:
    """The pipeline that ``config`` names, on the device.

    Raises:
        WeightsError: it cannot be had, does not fit its network, or wants to run code of its own.
    """
    package = ffgs()
    hub = {
        key: value
        for key, value in (("revision", config.revision), ("subfolder", config.subfolder))
        if value is not None
    }
    overrides = None if config.crop_mode is None else {"crop_mode": config.crop_mode}
    try:
        # The hub's client prints where it reads from; standard output is the command's own.
        with redirect_stdout(sys.stderr):
            return package.GSPipeline.from_pretrained(
                config.weights,
                device=device,
                processor_overrides=overrides,
                trust_remote_code=config.trust_code,
                **hub,
            )
    except Exception as error:  # the package, the hub's client and safetensors raise many kinds
        known = ", ".join(package.zoo.list_models())
        raise WeightsError(
            f"ffgs: {config.weights!r} cannot be loaded: {type(error).__name__}: "
            f"{first_line(error)}",
            hint=f"Give a name of its model zoo ({known}), a folder, or a hub repository; code of "
            "a repository runs only with trust_code = true.",
        ) from error
