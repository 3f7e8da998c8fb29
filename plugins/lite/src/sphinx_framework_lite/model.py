"""The diffusion stage: autoencoder, condition and U-Net behind the framework's protocol."""

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.protocols import Executor
from sphinx_framework.samplers import SigmaSampler, karras_sigmas
from sphinx_framework.types import ClipLayout, CoarseViews, Scene, ScoreEvidence, Slot
from sphinx_framework_lite.autoencoder import LATENT_FACTOR, Autoencoder
from sphinx_framework_lite.config import DiffusionConfig
from sphinx_framework_lite.denoiser import (
    SOURCES,
    Denoiser,
    LiteCondition,
    condition_maps,
    plucker_rays,
)
from sphinx_framework_lite.depth import DepthNetwork
from sphinx_framework_lite.finisher import Finisher, finished
from sphinx_framework_lite.geometry import depth_range
from sphinx_framework_lite.predict import InputDepth, input_depth, source_renders
from sphinx_framework_lite.splat import fill_holes
from sphinx_framework_lite.weights import build, channels_last

TILE = 4
# Frames decoded at once: bounds the memory of long clips.
DECODE_BATCH = 8


class LiteDiffusion:
    """A small multi-view latent diffusion model conditioned on renders of each nearby input."""

    latent_factor = LATENT_FACTOR
    tile = TILE

    def __init__(
        self, config: DiffusionConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self._config = config
        self._device = device
        self._half = config.precision == "bfloat16" or (
            config.precision == "native" and has_bfloat16(device)
        )
        self._autoencoder = build(Autoencoder, "autoencoder", config.weights, device)
        self._depth = build(DepthNetwork, "depth", config.weights, device)
        self._denoiser = build(Denoiser, "denoiser", config.weights, device)
        self._finisher = build(Finisher, "finisher", config.weights, device)
        for network in (self._autoencoder.encoder, self._finisher):
            channels_last(network)

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """One clip if it fits ``max_frames``, else consecutive targets, each with all inputs.

        Raises:
            SceneError: if the inputs alone fill a clip, or the image size does not fit the tiles.
        """
        inputs, targets = len(scene.inputs), len(scene.targets)
        room = self._config.max_frames - inputs
        if room < 1:
            raise SceneError(
                f"{inputs} inputs leave no room for targets in clips of {self._config.max_frames} "
                "frames.",
                hint="Use fewer inputs or raise max_frames of the diffusion model.",
            )
        multiple = LATENT_FACTOR * TILE
        size = scene.inputs.image_size
        if size[0] % multiple or size[1] % multiple:
            raise SceneError(
                f"images of {size[0]}x{size[1]} pixels do not fit the lite diffusion model.",
                hint=f"Resize to multiples of {multiple} pixels.",
            )
        clips = -(-targets // room)
        bounds = [round(i * targets / clips) for i in range(clips + 1)]
        note = (f"{targets} targets in {clips} clips of at most {room}",) if clips > 1 else ()
        layouts = []
        for first, last in pairwise(bounds):
            slots = [Slot(kind="input", index=0)]
            slots += [Slot(kind="target", index=i) for i in range(first, last)]
            slots += [Slot(kind="input", index=i) for i in range(1, inputs)]
            layouts.append(ClipLayout(slots=tuple(slots), notes=note))
        return tuple(layouts)

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Images in [0, 1] to latents."""
        return torch.cat([self._autoencoder.encode(part) for part in images.split(DECODE_BATCH)])

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Latents to images in [0, 1]."""
        parts = [self._autoencoder.decode(part) for part in latents.split(DECODE_BATCH)]
        return torch.cat(parts).clamp(0, 1)

    @torch.no_grad()
    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Float[Tensor, "T C h w"],
        sampler: SigmaSampler,
    ) -> LiteCondition:
        """Base latents, renders of each target's nearest inputs, opacity and rays.

        clean: latents of the clip's slots. sampler: gives the steps of ``denoise`` their levels.

        Raises:
            SceneError: with fewer than two inputs, or no usable depth range.
        """
        found = self._input_depth(scene, coarse)
        order = list(layout.targets)
        targets = [layout.targets[slot] for slot in order]
        wanted = scene.targets[targets]
        renders = source_renders(scene, found, wanted)
        size = scene.inputs.image_size
        frames = len(layout)
        covered = clean.new_ones(SOURCES, frames, *size)
        latents = clean[None].repeat(SOURCES, 1, 1, 1, 1)
        for source, splats in enumerate(renders):
            covered[source, order] = splats.opacity
            filled = fill_holes(splats.images, splats.opacity).clamp(0, 1)
            latents[source, order] = self.encode(filled)
        opacity = clean.new_ones(frames, *size)
        fused = 1 - torch.stack([1 - s.opacity for s in renders]).prod(dim=0)
        opacity[order] = fused if coarse.opacity is None else coarse.opacity[targets]
        given = torch.ones(frames, dtype=torch.bool, device=clean.device)
        given[order] = False
        near, far = depth_range(scene)
        rays = plucker_rays(
            scene.cameras_of(layout), scene.inputs.world_from_camera[0], middle(near, far)
        )
        maps = condition_maps(clean, opacity, latents, covered, given, rays)
        return LiteCondition(base=clean, maps=maps, given=given, sigmas=tuple(sampler.sigmas))

    def sampler(self, num_steps: int) -> SigmaSampler:
        """Karras levels with the solver and the temperature of the options."""
        config = self._config
        levels = karras_sigmas(num_steps, config.sigma_min, config.sigma_max, config.rho)
        return SigmaSampler(levels, config.solver, config.temperature)

    @torch.no_grad()
    def denoise(
        self, x: Float[Tensor, "R C a b"], step: int, condition: LiteCondition, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Predict the clean latents of the held rows."""
        sigma = torch.full((1,), condition.sigmas[step], dtype=x.dtype, device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16) if self._half else nullcontext():
            clean: Tensor = self._denoiser(x, sigma, condition, ops)
        return clean

    @torch.no_grad()
    def finish(
        self,
        refined: Float[Tensor, "V 3 H W"],
        evidence: ScoreEvidence,
    ) -> Float[Tensor, "V 3 H W"]:
        """Served frames of refined frames, their renders and the nearest photos, in [0, 1].

        Without a known opacity, renders count as opaque; without known warps, no photo is seen.
        """
        return finished(self._finisher, refined, evidence)

    def _input_depth(self, scene: Scene, coarse: CoarseViews) -> InputDepth:
        """What the regression stage measured, or our own measurement."""
        if coarse.input_depth is None or coarse.input_confidence is None:
            return input_depth(self._depth, scene, self._config.depth_side)
        return InputDepth(depth=coarse.input_depth, confidence=coarse.input_confidence)

    @torch.no_grad()
    def denoise_many(
        self,
        rows: Sequence[Float[Tensor, "R C a b"]],
        steps: Sequence[int],
        conditions: Sequence[LiteCondition],
        executors: Sequence[Executor],
        ops: Executor,
    ) -> list[Float[Tensor, "R C a b"]]:
        """Predict the rows of several requests, each at its own step, in one run."""
        asked = list(zip(rows, steps, conditions, executors, strict=True))
        x = torch.cat(list(rows))
        sigma = torch.cat([x.new_full((len(own),), c.sigmas[step]) for own, step, c, _ in asked])
        base = torch.cat([picks.maps(c.base) for _, _, c, picks in asked])
        given = torch.cat([picks.rows(c.given) for _, _, c, picks in asked])
        maps = torch.cat([picks.maps(c.maps) for _, _, c, picks in asked])
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._half):
            clean = self._denoiser.of_rows(x, sigma, base, given, maps, ops)
        return list(clean.split([len(own) for own in rows]))


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 itself; not known is no."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    )


def middle(near: float, far: float) -> float:
    """Depth whose inverse lies halfway: the unit of length of the rays."""
    return 2 / (1 / near + 1 / far)
