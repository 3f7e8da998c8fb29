"""Train the U-Net for what the product does with it: one or two Euler steps from late starts.

    python training/train_refinement.py --data D --run R --minutes 60 --batch 4 \
        --start plugins/lite/src/sphinx_framework_lite/weights/denoiser.safetensors

Most batches take one step (sometimes two) from a start of 20 to 45 of 50, decode some of the
targets, add what the autoencoder lost of the render, and compare the composed frame with the truth,
and with what the render already was: a frame that got worse costs extra. ``--walks``: a share of
them are states of the network's own walks from noise, so that fifty steps correct what earlier ones
made instead of adding to it. ``--features``: composed frames and truth must also agree in the
features of a network that classifies photos, another one than the measure's. The rest is the first
training's objective on latents, at all noise levels, so that long walks and starts from noise stay
what they were. Splits may differ in size; one that is not prepared yet is passed over.
``--decoder``: the autoencoder's decoder is trained with it, on what the U-Net answers; what it
loses of a render is carried as before. Its encoder stays, so latents keep their meaning.
``--finisher``: the finisher is trained with it, and the loss is that of finished frames and, with
less weight, of painted ones, which the guard sees.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from clips import Clips, drawn
from common import Run, arguments
from decoders import decoders, renders
from feature_loss import feature_loss
from half_precision import half_precision
from safetensors.torch import load_file, save_file
from similarity import gradient_similarity, sharpness, ssim
from torch import Tensor, nn
from train_denoiser import noisy

from sphinx_framework.executors.dense import DenseExecutor
from sphinx_framework.samplers import karras_sigmas
from sphinx_framework_lite.autoencoder import Autoencoder
from sphinx_framework_lite.config import DiffusionConfig
from sphinx_framework_lite.denoiser import Denoiser, LiteCondition
from sphinx_framework_lite.finisher import Finisher
from sphinx_framework_lite.weights import build

STEPS = 50
STARTS = (20, 45)
LATENT_SHARE = 0.15
TWO_STEPS = 0.25
LONGEST_WALK = 6
COLD_SHARE = 0.75
LARGEST_BATCHED = 128
DECODED = 2  # targets per clip that the pixel loss sees
PAINTED = 0.3  # weight of painted frames where finished ones are trained


def stepped(
    network: Denoiser, batch: dict[str, Tensor], sigmas: tuple[float, ...], path: list[int],
    temperature: float, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Clean latents after Euler steps from ``path[0]`` to the last; gradients of that one alone.

    Every state but the first is what the network itself made of the one before. A path from step 0
    begins with noise alone, as a request does.
    """
    clips, frames = batch["given"].shape
    flat = {n: batch[n].flatten(0, 1) for n in ("base", "maps", "given")}
    condition = LiteCondition(**flat, sigmas=sigmas)
    ops = DenseExecutor(frames)
    device = flat["base"].device
    noise = torch.randn(flat["base"].shape, generator=generator).to(device)
    origin = flat["base"] if path[0] > 0 else torch.zeros_like(noise)
    x = origin + temperature * sigmas[path[0]] * noise

    def denoised(state: Tensor, step: int) -> Tensor:
        level = torch.full((clips * frames,), sigmas[step], device=device)
        with half_precision(device):
            return network(state, level, condition, ops).float()

    with torch.no_grad():
        for step, after in pairwise(path):
            clean = denoised(x, step)
            x = clean + sigmas[after] / sigmas[step] * (x - clean)
    return denoised(x, path[-1])


def drawn_path(chance: Tensor, walks: float) -> list[int]:
    """Steps of one training example: a late start and one or two steps, or a walk from noise.

    A walk of fifty steps is stood in for by up to six strides to any of its steps.
    """
    if chance[0] < walks:
        end = 1 + int(chance[1] * (STEPS - 2))
        strides = 1 + int(chance[2] * LONGEST_WALK)
        return sorted({round(end * stride / strides) for stride in range(strides + 1)})
    start = STARTS[0] + int(chance[1].sqrt() * (STARTS[1] - STARTS[0]))
    return [start, (start + STEPS) // 2] if chance[2] < TWO_STEPS else [start]


def picture_loss(
    composed: Tensor,
    render: Tensor,
    truth: Tensor,
    opacity: Tensor,
    encoder: Autoencoder,
    seen: Callable[[Tensor, Tensor], Tensor] | None,
    soft: float,
) -> tuple[Tensor, Tensor]:
    """What the frames are judged by, less where hardly anything was seen; and the gain in dB.

    encoder: its latents are features that composed frames and truth must share, as are ``seen``.
    soft: weight of what a frame is softer than the truth.
    """
    weight = (opacity.mean((1, 2)) * 2).clamp(0.1, 1)
    error = composed - truth
    square = error.square().mean((1, 2, 3))
    before = (render - truth).square().mean((1, 2, 3))
    lost = (square + 3e-4).log() - (before + 3e-4).log()
    with half_precision(composed.device):
        features = encoder.encode(composed) - encoder.encode(truth)
    loss = (
        error.abs().mean((1, 2, 3))
        + 0.05 * (square + 3e-4).log()
        + 0.5 * (1 - ssim(composed, truth))
        + 0.5 * (1 - gradient_similarity(composed, truth))
        + 0.05 * features.float().abs().mean((1, 2, 3))
        + 0.1 * lost.clamp(min=0)
    )
    if seen is not None:
        loss = loss + seen(composed, truth)
    if soft > 0:
        loss = loss + soft * (sharpness(truth) - sharpness(composed)).clamp(min=0)
    total: Tensor = (weight * loss).sum() / weight.sum()
    gain = 10 * (before.clamp(min=1e-8) / square.detach().clamp(min=1e-8)).log10()
    return total, gain.mean()


def latent_loss(
    network: Denoiser, batch: dict[str, Tensor], device: torch.device, generator: torch.Generator
) -> Tensor:
    """The first training's objective: what is to be added to the render, at any level of noise."""
    made = noisy(batch, generator, float(network.deviation))
    flat = {n: v.flatten(0, 1).to(device) for n, v in {**batch, **made}.items()}
    ops = DenseExecutor(batch["given"].shape[1])
    with half_precision(device):
        out = network.raw(flat["state"], flat["sigma"], flat["maps"], ops)
    skip, scale, _ = network.coefficients(flat["sigma"][:, None, None, None])
    wanted = (flat["residual"] - skip * flat["state"]) / scale
    error = flat["weight"] * (out.float() - wanted).square()
    return error.mean() / flat["weight"].mean().clamp(min=1e-3)


class Trained:
    """The U-Net, the decoder if asked for, and what their frames are compared by."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self.device = torch.device(options.device)
        self.network = Denoiser()
        weights = load_file(options.start)
        self.network.load_state_dict({k: v.float() for k, v in weights.items()})
        self.network.to(self.device).train()
        self.prepared_with, self.decoder = decoders(options.decoder, self.device)
        trained: dict[str, nn.Module] = {"denoiser": self.network}
        if options.decoder is not None:
            self.decoder.decoder.requires_grad_(True)
            trained["autoencoder"] = self.decoder
        self.finisher: Finisher | None = None
        if options.finisher is not None:
            folder = str(options.finisher.parent)
            self.finisher = build(Finisher, "finisher", folder, self.device)
            self.finisher.requires_grad_(True)
            trained["finisher"] = self.finisher
        self.names = list(trained)
        self.module = nn.ModuleDict(trained) if len(trained) > 1 else self.network
        self.seen = None
        if options.features:
            self.seen = feature_loss(options.size, options.features, self.device)
        grid = DiffusionConfig.model_construct()
        levels = karras_sigmas(STEPS, grid.sigma_min, grid.sigma_max, grid.rho)
        self.sigmas = tuple(levels.tolist())

    def composed_loss(
        self, batch: dict[str, Tensor], temperature: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Loss and gain in dB of some composed frames of a batch, after steps of the network."""
        batch = {name: value.to(self.device) for name, value in batch.items()}
        path = drawn_path(torch.rand(3, generator=generator), self.options.walks)
        clean = stepped(self.network, batch, self.sigmas, path, temperature, generator)
        targets = torch.nonzero(~batch["given"].flatten())[:, 0].cpu()
        order = torch.randperm(len(targets), generator=generator)
        picked = targets[order[: DECODED * len(batch["given"])]].to(self.device)
        rows = {n: batch[n].flatten(0, 1)[picked] for n in ("base", "opacity", "lost", "truth")}
        with half_precision(self.device):
            decoded = self.decoder.decode(clean[picked])
            render, lost = renders(rows, self.prepared_with, self.decoder)
        composed = decoded + rows["opacity"][:, None] * lost
        judged = self.prepared_with, self.seen, self.options.soft
        rest = render, rows["truth"], rows["opacity"], *judged
        loss, gain = picture_loss(composed, *rest)
        if self.finisher is not None:
            finished = self.finisher(composed.clamp(0, 1), render.clamp(0, 1), rows["opacity"])
            last, gain = picture_loss(finished, *rest)
            loss = last + PAINTED * loss
        return loss, gain


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--splits", nargs="+", default=["photos", "train"])
    parser.add_argument("--start", type=Path, required=True, help="weights to begin with")
    parser.add_argument("--walks", type=float, default=0.0, help="share of walks from noise")
    parser.add_argument("--temperature", type=float, default=1.0, help="of most starts")
    parser.add_argument("--features", type=float, default=0.0, help="weight of that term")
    parser.add_argument("--features-of", type=int, choices=(1, 2), default=1, dest="size")
    parser.add_argument("--soft", type=float, default=0.0, help="weight of too little sharpness")
    parser.add_argument("--decoder", type=Path, help="train this autoencoder's decoder too")
    parser.add_argument("--finisher", type=Path, help="train this finisher too")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    trained = Trained(options)
    run = Run(options, trained.module, ema=0.995)
    splits = [Clips(options.data / "refinement" / name) for name in options.splits]
    while run.progress < 1:
        usable = [split for split in splits if len(split.ready()) > 0]
        split = usable[run.step % len(usable)]
        # A clip of twice the side is as much work as four.
        large = split.maps["truth"].shape[-1] > LARGEST_BATCHED
        batch = drawn(split, 1 if large else options.batch, run.generator, drop=True)
        chance = torch.rand(2, generator=run.generator)
        if chance[0] < LATENT_SHARE:
            loss = latent_loss(trained.network, batch, trained.device, run.generator)
            run.update(0.3 * loss, latent=float(loss.detach()))
            continue
        warm = options.temperature if chance[1] < COLD_SHARE else 1.0
        loss, gain = trained.composed_loss(batch, warm, run.generator)
        run.update(loss, gain=float(gain))
    run.save()
    if len(trained.names) > 1:
        for name in trained.names:
            own = {k[len(name) + 1 :]: v for k, v in run.average.items() if k.startswith(name)}
            save_file(own, run.folder / f"{name}.safetensors")


if __name__ == "__main__":
    main()
