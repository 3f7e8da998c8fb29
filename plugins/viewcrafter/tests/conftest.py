"""Networks of the golden files and tiny random models."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from goldens import Golden, defined_arithmetic, single_thread
from torch import Tensor

from sphinx_framework_viewcrafter.config import (
    AutoencoderConfig,
    ImageTowerConfig,
    ResamplerConfig,
    TextTowerConfig,
    UNetConfig,
    tiny_config,
)
from sphinx_framework_viewcrafter.model import ViewCrafter

CPU = torch.device("cpu")


class Upstream:
    """Translates the option names of golden files."""

    text_tokens = 77
    queries_per_frame = 16

    @staticmethod
    def unet(config: dict[str, Any]) -> UNetConfig:
        return UNetConfig(
            in_channels=config["in_channels"],
            out_channels=config["out_channels"],
            model_channels=config["model_channels"],
            channel_mult=tuple(config["channel_mult"]),
            num_res_blocks=config["num_res_blocks"],
            attention_resolutions=tuple(config["attention_resolutions"]),
            head_channels=config["num_head_channels"],
            context_dim=config["context_dim"],
            transformer_depth=config["transformer_depth"],
        )

    @staticmethod
    def autoencoder(config: dict[str, Any], scale_factor: float = 0.18215) -> AutoencoderConfig:
        return AutoencoderConfig(
            channels=config["ch"],
            channel_mult=tuple(config["ch_mult"]),
            num_res_blocks=config["num_res_blocks"],
            latent_channels=config["z_channels"],
            scale_factor=scale_factor,
        )

    @staticmethod
    def image_tower(config: dict[str, Any]) -> ImageTowerConfig:
        return ImageTowerConfig(**config["vision_cfg"])

    @staticmethod
    def text_tower(config: dict[str, Any]) -> TextTowerConfig:
        return TextTowerConfig(**config["text_cfg"], embed_dim=config["embed_dim"])

    @staticmethod
    def resampler(config: dict[str, Any]) -> ResamplerConfig:
        return ResamplerConfig(
            dim=config["dim"],
            depth=config["depth"],
            head_channels=config["dim_head"],
            heads=config["heads"],
            num_queries=config["num_queries"],
            video_length=config["video_length"],
            embedding_dim=config["embedding_dim"],
            output_dim=config["output_dim"],
            feed_forward_mult=config["ff_mult"],
        )


def clip_to_rows(video: Tensor) -> Tensor:
    """``[B C T h w]`` to ``[B*T C h w]``."""
    return video.transpose(1, 2).flatten(0, 1)


def rows_to_clip(rows: Tensor, batch: int) -> Tensor:
    """``[B*T C h w]`` to ``[B C T h w]``."""
    return rows.unflatten(0, (batch, -1)).transpose(1, 2)


@pytest.fixture(autouse=True)
def _no_grad() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def defined() -> Iterator[None]:
    """The arithmetic that the golden files of networks were made with."""
    with defined_arithmetic():
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """The attention kernels of production, on the one thread of the golden files."""
    with single_thread():
        yield


@pytest.fixture(scope="session")
def upstream() -> type[Upstream]:
    return Upstream


@pytest.fixture(scope="session")
def to_rows() -> Any:
    return clip_to_rows


@pytest.fixture(scope="session")
def to_clip() -> Any:
    return rows_to_clip


@pytest.fixture(scope="session")
def close() -> Any:
    """Compare within the tolerance that the golden file states."""

    def check(found: Tensor, expected: Tensor, fixture: Golden, **changed: float) -> None:
        tolerance = {k: fixture.info["tolerance"].get(k, 0.0) for k in ("rtol", "atol")}
        torch.testing.assert_close(found, expected, **(tolerance | changed))

    return check


@pytest.fixture(scope="session")
def tiny_model() -> ViewCrafter:
    return ViewCrafter(tiny_config(), CPU)
