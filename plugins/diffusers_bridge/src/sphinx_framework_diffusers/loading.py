"""Reads a stock pipeline: its networks, its scheduler, the colours that its encoder expects."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sphinx_framework.errors import WeightsError
from sphinx_framework.quiet import quiet_warnings
from sphinx_framework.weights import DTYPES, ensure_torchvision_imports, first_line
from sphinx_framework_diffusers.config import StableVideoConfig


@dataclass(frozen=True, slots=True)
class StableVideoParts:
    """What the stock pipeline holds; the autoencoder stays float32 where it asks for that."""

    unet: Any
    autoencoder: Any
    image_encoder: Any
    scheduler: Any
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def stable_video(config: StableVideoConfig, device: torch.device) -> StableVideoParts:
    """The parts of a ``StableVideoDiffusionPipeline`` on the device.

    Raises:
        WeightsError: it cannot be had (not there, offline, licence not accepted) or is another
            pipeline.
    """
    ensure_torchvision_imports()  # transformers and diffusers import it where it is installed
    from diffusers import StableVideoDiffusionPipeline

    kind = StableVideoDiffusionPipeline
    where: dict[str, Any] = {
        "revision": config.revision,
        "local_files_only": Path(config.weights).expanduser().is_dir(),
    }
    try:
        with quiet_warnings():  # the libraries' own deprecations
            _refuse_another(kind, config.weights, where)
            pipeline: Any = kind.from_pretrained(
                config.weights,
                variant=config.variant,
                torch_dtype=DTYPES[config.dtype],
                low_cpu_mem_usage=False,  # True needs another package, and warns without it
                use_safetensors=True,
                **where,
            )
    except WeightsError:
        raise
    except Exception as error:  # the hub's client, diffusers and transformers raise many kinds
        raise WeightsError(
            f"stable-video: {config.weights!r} cannot be loaded: {type(error).__name__}: "
            f"{first_line(error)}",
            hint="Give the folder or hub repository of a StableVideoDiffusionPipeline; accept its "
            "licence on its page and run `hf auth login` where it is gated.",
        ) from error
    _refuse_other_parts(pipeline, config.weights)
    autoencoder = pipeline.vae
    if autoencoder.config.force_upcast:
        autoencoder = autoencoder.float()
    parts = (pipeline.unet, autoencoder, pipeline.image_encoder)
    unet, autoencoder, image_encoder = (
        part.to(device).eval().requires_grad_(False) for part in parts
    )
    extractor = pipeline.feature_extractor
    return StableVideoParts(
        unet=unet,
        autoencoder=autoencoder,
        image_encoder=image_encoder,
        scheduler=pipeline.scheduler,
        mean=tuple(extractor.image_mean),
        deviation=tuple(extractor.image_std),
    )


def _refuse_another(kind: Any, source: str, where: dict[str, Any]) -> None:
    """Without this, diffusers loads whatever parts of another pipeline fit, without a word."""
    named = kind.load_config(source, **where).get("_class_name")
    if named != kind.__name__:
        raise WeightsError(
            f"stable-video: {source!r} holds a {named}, not a {kind.__name__}.",
            hint="No other stock pipeline runs through this plugin.",
        )


def _refuse_other_parts(pipeline: Any, source: str) -> None:
    """A part of another class is only logged by diffusers, and would fail, or mislead, later."""
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel

    expected = {"unet": UNetSpatioTemporalConditionModel, "vae": AutoencoderKLTemporalDecoder}
    for part, kind in expected.items():
        found = getattr(pipeline, part)
        if not isinstance(found, kind):
            raise WeightsError(
                f"stable-video: {part} of {source!r} is a {type(found).__name__}, not a "
                f"{kind.__name__}.",
                hint="Give the folder or hub repository of an unchanged pipeline.",
            )
