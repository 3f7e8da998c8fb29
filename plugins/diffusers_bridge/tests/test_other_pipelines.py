"""Other stock image-to-video pipelines, tiny and as diffusers saves them: refused by their names.

Each would need another kind of latents, levels and condition; none of their parts is loaded.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import ensure_torchvision_imports
from sphinx_framework_diffusers.config import StableVideoConfig
from sphinx_framework_diffusers.stable_video import StableVideo

NO_TEXT: dict[str, Any] = {"tokenizer": None, "text_encoder": None}


def cog_video() -> Any:
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXImageToVideoPipeline,
        CogVideoXTransformer3DModel,
    )

    autoencoder = AutoencoderKLCogVideoX(
        block_out_channels=(8, 8),
        down_block_types=("CogVideoXDownBlock3D",) * 2,
        up_block_types=("CogVideoXUpBlock3D",) * 2,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=1,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=8,
        num_layers=1,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        max_text_seq_length=4,
    )
    return CogVideoXImageToVideoPipeline(
        vae=autoencoder, transformer=transformer, scheduler=CogVideoXDDIMScheduler(), **NO_TEXT
    )


def ltx() -> Any:
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXImageToVideoPipeline,
        LTXVideoTransformer3DModel,
    )

    autoencoder = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        patch_size=1,
        patch_size_t=1,
    )
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=1,
        caption_channels=8,
    )
    scheduler = FlowMatchEulerDiscreteScheduler()
    return LTXImageToVideoPipeline(
        vae=autoencoder, transformer=transformer, scheduler=scheduler, **NO_TEXT
    )


def wan() -> Any:
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        WanImageToVideoPipeline,
        WanTransformer3DModel,
    )

    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36,
        text_dim=8,
        freq_dim=16,
        ffn_dim=16,
        num_layers=1,
        rope_max_seq_len=32,
    )
    return WanImageToVideoPipeline(
        vae=AutoencoderKLWan(base_dim=3, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        image_encoder=None,
        image_processor=None,
        **NO_TEXT,
    )


@pytest.mark.filterwarnings("ignore")  # the libraries' own deprecations
@pytest.mark.parametrize("pipeline", [cog_video, ltx, wan], ids=lambda build: build.__name__)
def test_a_saved_pipeline_of_another_kind_is_refused_by_its_name(pipeline, tmp_path: Path) -> None:
    ensure_torchvision_imports()
    with torch.random.fork_rng():
        built = pipeline()
    built.save_pretrained(tmp_path)
    with pytest.raises(WeightsError) as error:
        StableVideo(StableVideoConfig(weights=str(tmp_path), dtype="float32"), torch.device("cpu"))
    named = f"{str(tmp_path)!r} holds a {type(built).__name__}, not a StableVideoDiffusionPipeline."
    assert error.value.message == f"stable-video: {named}"
    assert error.value.hint == "No other stock pipeline runs through this plugin."
