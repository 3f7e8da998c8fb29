"""What the official pairs need of a device's memory, counted on the meta device.

    python benchmarks/footprints.py [--pairs seva-mvsplat viewcrafter-dust3r]

Prints the ``[memory]`` table of each pair's config (a test compares them), and the plans that
``--memory`` makes of them for several devices. Networks are counted; rasterizers, the point
renderer and the global alignment are not: they are small beside a diffusion network.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import torch
from full_size.counting import counted, parameter_bytes
from full_size.moves import moves
from full_size.subjects import SUBJECTS
from torch import Tensor, nn

from sphinx_framework.config import load_config
from sphinx_framework.engine.fitting import demand_of
from sphinx_framework.errors import ConfigError
from sphinx_framework.policy.memory import GIGA, plan_memory
from sphinx_framework.policy.schedule import Mode
from sphinx_framework.study.report.summary import markdown
from sphinx_framework.weights import ensure_torchvision_imports

META = torch.device("meta")
HALF, WHOLE = torch.bfloat16, torch.float32
MODES: tuple[Mode, ...] = ("coarse", "fine", "selective")
MEMORIES = (12, 16, 24, 48, 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The numbers of a ``[memory]`` table, in GB."""

    weights: dict[str, float]
    working: dict[str, float]
    cache: dict[str, float]


def made(build: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    """A network on the meta device."""
    with META:
        return build().to(dtype).eval().requires_grad_(False)


def alive(call: Callable[[], Any]) -> float:
    """GB that a call has alive at once."""
    return counted(call).peak_bytes / GIGA


def held(*networks: nn.Module) -> float:
    """GB of weights."""
    return sum(parameter_bytes(network) for network in networks) / GIGA


def on_meta(*shape: int, dtype: torch.dtype = HALF) -> Tensor:
    return torch.empty(*shape, device=META, dtype=dtype)


def denoising(name: str) -> tuple[float, float, dict[str, float]]:
    """Weights of the U-Net, its working memory with constants, and both caches."""
    subject = SUBJECTS[name](META)
    caches: dict[str, float] = {}
    full = 0.0
    for move in moves(subject.subject, (), ()):
        cost = counted(move.call)
        if "recording" in move.name:
            kind = "tiles" if "tiles" in move.name else "frames"
            caches[kind] = subject.subject.cache.num_bytes / GIGA
        elif move.name == "full":
            full = cost.peak_bytes / GIGA
    return held(subject.network), full + constants(name), caches


def constants(name: str) -> float:
    """GB that the first step of a request leaves for the others."""
    from sphinx_framework.executors.passes import full_pass

    subject = SUBJECTS[name](META).subject
    kept: dict[str, Tensor] = {}
    with torch.no_grad():
        full_pass(
            subject.model, subject.x, subject.step, subject.condition, constants=kept
        ).answer()
    return sum(t.numel() * t.element_size() for t in kept.values()) / GIGA


def mvsplat(height: int, width: int) -> tuple[float, float]:
    """GB of its encoder, and what that has alive on two photos.

    It chooses by values, so that it cannot be counted without computing: it runs on the CPU at a
    quarter of the sides, and what is alive is taken in proportion to the pixels.
    """
    from sphinx_framework_mvsplat.config import EncoderConfig
    from sphinx_framework_mvsplat.encoder import ContextViews, Encoder

    encoder: Any = Encoder(EncoderConfig(), WHOLE, 3).eval().requires_grad_(False)
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = 0.5
    views = ContextViews(
        images=torch.rand(1, 2, 3, height // 4, width // 4),
        world_from_camera=poses,
        intrinsics=torch.tensor([[0.9, 0, 0.5], [0, 0.9, 0.5], [0, 0, 1]]).repeat(1, 2, 1, 1),
        near=torch.ones(1, 2),
        far=torch.full((1, 2), 100.0),
    )
    return held(encoder), 16 * alive(lambda: encoder.predict_depth(views))


def clip_weights() -> float:
    """GB of the embedder that finds a scene's cluster."""
    import open_clip

    return held(open_clip.create_model("ViT-B-32", pretrained=None))


def seva_mvsplat() -> Table:
    """MVSplat, MUSIQ, CLIP ViT-B/32 and SEVA with its autoencoder and ViT-H."""
    from sphinx_framework_seva.autoencoder import OFFICIAL as VAE
    from sphinx_framework_seva.image_encoder import OFFICIAL as TOWER
    from sphinx_framework_seva.image_encoder import _tower

    ensure_torchvision_imports()
    from diffusers import AutoencoderKL

    def autoencoder() -> nn.Module:
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, **VAE,
        )  # fmt: skip

    vae: Any = made(autoencoder, HALF)
    tower = made(lambda: _tower(TOWER, 1024), HALF)
    unet, denoise, caches = denoising("seva")
    encoder, regression = mvsplat(576, 576)
    return Table(
        weights={
            "regression": encoder, "embedder": clip_weights(),
            "diffusion": unet + held(vae, tower),
        },
        working={
            "regression": regression,
            "encode": alive(lambda: vae.encode(on_meta(4, 3, 576, 576)).latent_dist.mode()),
            "condition": alive(lambda: tower(on_meta(2, 3, 224, 224))),
            "denoise": denoise,
            "decode": alive(lambda: vae.decode(on_meta(4, 4, 72, 72)).sample),
        },
        cache=caches,
    )  # fmt: skip


def viewcrafter_dust3r() -> Table:
    """DUSt3R in pairs of 288x512, MUSIQ, and ViewCrafter with autoencoder and image tower."""
    from sphinx_framework_dust3r.config import NetworkConfig
    from sphinx_framework_dust3r.network.pair_network import PairNetwork
    from sphinx_framework_viewcrafter.clip_image import ImageTower
    from sphinx_framework_viewcrafter.config import ViewCrafterConfig
    from sphinx_framework_viewcrafter.resampler import Resampler
    from sphinx_framework_viewcrafter.vae import Autoencoder

    config = ViewCrafterConfig()
    pairs: Any = made(lambda: PairNetwork(NetworkConfig()), WHOLE)
    vae: Any = made(lambda: Autoencoder(config.autoencoder), HALF)
    tower = made(lambda: ImageTower(config.image_tower), HALF)
    resampler = made(lambda: Resampler(config.resampler), HALF)
    unet, denoise, caches = denoising("viewcrafter")
    photos = on_meta(2, 3, 288, 512, dtype=WHOLE)
    side = config.image_tower.image_size

    def both() -> None:
        encoded = pairs.encode(photos)
        pairs.decode(encoded[[0]], encoded[[1]])

    return Table(
        weights={
            "regression": held(pairs),
            "diffusion": unet + held(vae, tower, resampler),
        },
        working={
            "regression": alive(both),
            "encode": alive(lambda: vae.posterior(on_meta(1, 3, 576, 1024)).mean),
            "condition": alive(lambda: resampler(tower(on_meta(1, 3, side, side)))),
            "denoise": denoise,
            "decode": alive(lambda: vae.decode(on_meta(1, 4, 72, 128))),
        },
        cache=caches,
    )


PAIRS: dict[str, Callable[[], Table]] = {
    "seva-mvsplat": seva_mvsplat,
    "viewcrafter-dust3r": viewcrafter_dust3r,
}


def toml(table: Table) -> str:
    """The sub-tables of ``[memory]``, rounded up to a hundredth of a GB."""
    parts = []
    for name, rows in asdict(table).items():
        lines = [f"{key} = {ceil(100 * value) / 100:.2f}" for key, value in rows.items()]
        parts.append("\n".join([f"[memory.{name}]", *lines]))
    return "\n\n".join(parts)


def plans(name: str) -> str:
    """What ``--memory`` makes of a pair on several devices, as a table."""
    config = load_config(name)
    assert config.memory is not None
    lines = [["memory", "mode", "plan"]]
    for memory in MEMORIES:
        for mode in MODES:
            asked = config.model_copy(update={"mode": mode})
            try:
                told = plan_memory(config.memory, demand_of(asked, half=True), memory).text()
            except ConfigError as error:
                told = f"refused: {error.message}"
            lines.append([f"{memory} GB", mode, told])
    return markdown(lines)


def main() -> None:
    """Print tables and plans."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--plans-only", action="store_true", help="count nothing")
    asked = parser.parse_args()
    for name in asked.pairs:
        print(f"{name}\n")
        if not asked.plans_only:
            print(toml(PAIRS[name]()), end="\n\n")
        print(plans(name))


if __name__ == "__main__":
    main()
