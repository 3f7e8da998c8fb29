"""Where weights come from, and the one clear error for everything that can be wrong with them."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import FakeHub
from safetensors.torch import save_file

from sphinx_framework.errors import ConfigError, WeightsError
from sphinx_framework.weights import DTYPES, ensure_torchvision_imports
from sphinx_framework_seva.autoencoder import COMMITS, build_autoencoder
from sphinx_framework_seva.config import SevaConfig
from sphinx_framework_seva.image_encoder import (
    COMMIT,
    ImageEncoder,
    build_image_encoder,
    vision_tensors,
)
from sphinx_framework_seva.model import OFFICIAL, SevaModel, build_network

CPU = torch.device("cpu")
Options = dict[str, Any]


def network(tiny: Options, weights: Path | str, **options: Any) -> Any:
    return build_network(SevaConfig(**{**tiny, "weights": str(weights), **options}), CPU)


@pytest.fixture
def tensors(model: SevaModel) -> dict[str, torch.Tensor]:
    return {k: v.contiguous() for k, v in model.network.state_dict().items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("stored", ["float32", "bfloat16", "float16"])
def test_checkpoints_of_any_dtype_load_in_any_key_order(
    tiny: Options, tensors: dict[str, torch.Tensor], tmp_path: Path, suffix: str, stored: str
) -> None:
    path = tmp_path / f"model{suffix}"
    shuffled = {key: tensors[key].to(DTYPES[stored]) for key in reversed(tensors)}
    if suffix == ".safetensors":
        save_file(shuffled, path)
    else:
        torch.save({"state_dict": shuffled}, path)
    loaded = network(tiny, path).state_dict()
    assert all(value.dtype == torch.float32 for value in loaded.values())
    assert all(torch.equal(loaded[key], value.float()) for key, value in shuffled.items())


def test_a_missing_file_is_named(tiny: Options, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no checkpoint at .*nothing\.safetensors"):
        network(tiny, tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
def test_a_damaged_file_is_said_to_be_unreadable(
    tiny: Options, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00not json and not a checkpoint")
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        network(tiny, path)


def test_a_checkpoint_without_tensors_is_refused(tiny: Options, tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="holds no tensors"):
        network(tiny, tmp_path / "model.pt")


def test_a_wrong_checkpoint_is_refused_with_counts_and_the_first_five_keys(
    tiny: Options, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    keys = list(tensors)
    for key in keys[:3]:
        del tensors[key]
    tensors[keys[3]] = torch.zeros(2, 3)
    for number in range(7):
        tensors[f"lora.{number}"] = torch.zeros(1)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError) as caught:
        network(tiny, tmp_path / "model.safetensors")
    message = caught.value.message
    assert f"3 missing ({', '.join(sorted(keys[:3]))})" in message
    assert f"7 unexpected ({', '.join(f'lora.{i}' for i in range(5))}, ...)" in message
    assert f"1 mis-shaped ({keys[3]} [2, 3] instead of" in message
    assert f"of {len(keys)} expected" in message


def test_a_gated_repository_says_that_its_licence_must_be_accepted(tiny: Options) -> None:
    with FakeHub(refusal=(403, "GatedRepo")) as hub, pytest.raises(WeightsError) as caught:
        network(tiny, "official", hub_endpoint=hub.address)
    assert "'stabilityai/stable-virtual-camera' is gated" in caught.value.message
    assert "Accept the licence" in caught.value.hint
    assert "path of a downloaded file" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "revision"),
    [
        ({}, OFFICIAL["official"].commit),
        ({"weights_revision": "v1"}, "v1"),
        ({"weights_repo": "someone/copy"}, "main"),
    ],
)
def test_our_repositories_are_asked_for_their_pinned_commit(
    tiny: Options, options: Options, revision: str
) -> None:
    with FakeHub() as hub, pytest.raises(WeightsError, match="does not exist there"):
        network(tiny, "official", hub_endpoint=hub.address, **options)
    assert f"/resolve/{revision}/modelv1.1.safetensors" in hub.requests[0]


def test_the_image_encoder_is_pinned_too(tiny: Options) -> None:
    config = SevaConfig(**{**tiny, "clip": SevaConfig().clip})
    with FakeHub() as hub, pytest.raises(WeightsError, match="CLIP image encoder"):
        build_image_encoder(config.model_copy(update={"hub_endpoint": hub.address}), CPU)
    assert f"/resolve/{COMMIT}/open_clip_pytorch_model.bin" in hub.requests[0]


def test_the_vae_is_pinned_too(tiny: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import AutoencoderKL

    asked: list[Options] = []

    def refuse(repo: str, **options: Any) -> None:
        asked.append({"repo": repo, **options})
        raise OSError("not here")

    monkeypatch.setattr(AutoencoderKL, "from_pretrained", refuse)
    repo = SevaConfig().vae
    for revision in (None, "main"):
        config = SevaConfig(**{**tiny, "vae": repo, "vae_revision": revision})
        with pytest.raises(WeightsError, match="OSError: not here"):
            build_autoencoder(config, CPU)
    assert [(a["repo"], a["revision"]) for a in asked] == [(repo, COMMITS[repo]), (repo, "main")]


def test_a_file_with_another_checksum_is_refused(
    tiny: Options, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    network(tiny, path, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(WeightsError, match="is not the expected file"):
        network(tiny, path, weights_sha256="00" * 32)


def test_any_other_failure_of_the_download_is_one_clear_error(tiny: Options) -> None:
    with pytest.raises(WeightsError, match="could not be downloaded") as caught:
        network(tiny, "official", weights_repo="not/a/repository")
    assert "path of a downloaded file" in caught.value.hint


def test_a_vae_is_loaded_from_a_folder_or_its_subfolder(
    tiny: Options, model: SevaModel, tmp_path: Path
) -> None:
    model.autoencoder.vae.save_pretrained(tmp_path / "whole" / "vae")
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = model.encode(images)
    for folder in (tmp_path / "whole", tmp_path / "whole" / "vae"):
        config = SevaConfig(**{**tiny, "vae": str(folder)})
        assert torch.equal(build_autoencoder(config, CPU).encode(images), expected)


def test_a_missing_vae_is_told_with_what_to_do(tiny: Options, tmp_path: Path) -> None:
    config = SevaConfig(**{**tiny, "vae": str(tmp_path / "nothing")})
    with pytest.raises(WeightsError, match=r"VAE .* cannot be loaded") as caught:
        build_autoencoder(config, CPU)
    assert "Stable Diffusion 2.1 VAE" in caught.value.hint


def test_the_vision_part_of_a_clip_checkpoint_gives_open_clips_embedding() -> None:
    ensure_torchvision_imports()
    from open_clip.model import CLIP
    from open_clip.transformer import VisionTransformer

    from sphinx_framework_seva.clip_images import SIDE, clip_images

    sizes = {"image_size": SIDE, "patch_size": 56, "width": 16, "layers": 1}
    whole = CLIP(
        embed_dim=8,
        vision_cfg={**sizes, "head_width": 8},
        text_cfg={"context_length": 4, "vocab_size": 10, "width": 16, "heads": 2, "layers": 1},
    ).requires_grad_(False)
    tower = VisionTransformer(heads=2, mlp_ratio=4.0, output_dim=8, **sizes).requires_grad_(False)
    tower.load_state_dict(vision_tensors(whole.state_dict()))
    images = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    expected = whole.encode_image(clip_images(images), normalize=False)
    result = ImageEncoder(tower, torch.float32, CPU)(images)
    torch.testing.assert_close(result, expected)


def test_a_clip_checkpoint_without_a_vision_tower_is_refused() -> None:
    with pytest.raises(WeightsError, match="no vision tower"):
        vision_tensors({"logit_scale": torch.ones(()), "text_projection": torch.ones(2, 2)})


def test_a_clip_checkpoint_of_another_size_is_refused_with_its_keys(
    tiny: Options, model: SevaModel, tmp_path: Path
) -> None:
    path = tmp_path / "clip.safetensors"
    save_file({f"visual.{k}": v for k, v in model.image_encoder.tower.state_dict().items()}, path)
    config = SevaConfig(**{**tiny, "clip": str(path), "context_dim": 1024})
    with pytest.raises(WeightsError, match=r"CLIP image encoder: .* missing"):
        build_image_encoder(config, CPU)


def test_the_official_image_encoder_needs_its_embedding_size(
    tiny: Options, model: SevaModel, tmp_path: Path
) -> None:
    path = tmp_path / "clip.safetensors"
    save_file({f"visual.{k}": v for k, v in model.image_encoder.tower.state_dict().items()}, path)
    with pytest.raises(ConfigError, match="context_dim is 16"):
        build_image_encoder(SevaConfig(**{**tiny, "clip": str(path)}), CPU)
