"""ViewCrafter as a diffusion model of the framework."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import CapabilityError, SceneError
from sphinx_framework.geometry.stretches import clips_along_the_path
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.protocols import Executor
from sphinx_framework.types import ClipLayout, CoarseViews, Scene
from sphinx_framework_viewcrafter.checkpoint import build_networks
from sphinx_framework_viewcrafter.clip_text import tokenized
from sphinx_framework_viewcrafter.conditioning import (
    Condition,
    frame_images,
    joined_context,
    posterior_noise,
    premultiplied,
)
from sphinx_framework_viewcrafter.config import ViewCrafterConfig
from sphinx_framework_viewcrafter.guidance import Guidance
from sphinx_framework_viewcrafter.network import UNet
from sphinx_framework_viewcrafter.sampler import DdimSampler
from sphinx_framework_viewcrafter.training_schedule import TrainingSchedule


class ViewCrafter:
    """Video diffusion conditioned on one render per frame, a prompt and the first frame.

    Guidance branches are the unconditional one first. The noise grid is the one asked for last:
    a model serves one pipeline, whose number of steps is fixed.
    """

    def __init__(
        self, config: ViewCrafterConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        """Build and fill the networks; see :func:`build_networks` for the errors."""
        self.config = config
        self.device = device
        self._branches = 2 if config.guidance > 1 else 1
        self.latent_factor = 2 ** (len(config.autoencoder.channel_mult) - 1)
        self.tile = 2 ** (len(config.unet.channel_mult) - 1)
        self._dtype: torch.dtype = getattr(torch, config.dtype)
        self._training = TrainingSchedule.from_config(config.diffusion)
        self._networks = build_networks(config, device)
        self._guidance = Guidance(
            config.guidance, config.guidance_rescale, config.unet.out_channels
        ).to(device)
        self._guidance.requires_grad_(False)
        prompts = (config.negative_prompt, config.prompt)[-self._branches :]
        tokens = tokenized(prompts, config.text_tower)
        self._text = self._networks.text_tower(tokens.to(device))
        # The prompts never change: a third of a billion parameters need not stay.
        del self._networks.text_tower
        size = config.image_tower.image_size
        self._no_image = self._image_tokens(torch.full((1, 3, size, size), 0.5, device=device))

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """Clips from input to input along the path."""
        return clips_along_the_path(scene, self.config.clip_frames)

    def encode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Scaled posterior means; raises :class:`SceneError` for sides the network cannot halve."""
        return self._encode(images, None)

    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Images of scaled latents, frame by frame."""
        parts = [
            self._networks.autoencoder.decode(part.to(self._dtype)).float()
            for part in latents.split(self.config.autoencoder_batch)
        ]
        return (torch.cat(parts).clamp(-1, 1) + 1) / 2

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Float[Tensor, "T C h w"],
        sampler: DdimSampler,
    ) -> Condition:
        """Encode the conditioning frames and the context.

        Condition latents come from the premultiplied coarse views and from the input photos; given
        targets condition with their clean latents.
        """
        renders = premultiplied(coarse, self.config.coarse_colours)
        images = frame_images(scene, renders, layout)
        latents = clean.float().clone()
        if images:
            noise = None
            if self.config.condition_posterior == "sample":
                noise = posterior_noise(clean.shape, self.config.posterior_seed, self.device)
                noise = noise[list(images)]
            latents[list(images)] = self._encode(torch.stack(list(images.values())), noise)
        first = images[0][None] if 0 in images else self.decode(clean[:1])
        tokens = self._image_tokens(first)
        self._check_clip_length(len(layout), tokens.shape[1])
        branches = (self._no_image, tokens)[-self._branches :]
        context = joined_context(
            self._text,
            torch.cat(branches),
            num_frames=len(layout),
            per_frame=self.config.per_frame_context,
            name=f"{layout.slots[0].kind}{layout.slots[0].index}",
        )
        return Condition(latents=latents.to(self._dtype), context=context, sampler=sampler)

    def sampler(self, num_steps: int) -> DdimSampler:
        """The DDIM grid of that many steps."""
        return DdimSampler(
            num_steps,
            self._training,
            eta=self.config.eta,
            spacing=self.config.spacing,
            final=self.config.final,
            solver=self.config.solver,
        )

    def denoise(
        self, x: Float[Tensor, "R C a b"], step: int, condition: Condition, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Predict clean latents with classifier-free guidance over both branches."""
        v = predicted(
            self._networks.unet, x, condition, step, self.config.frame_stride, ops, self._dtype
        )
        if self._branches > 1:
            v = self._guidance(*v.chunk(self._branches), ops)
        return condition.sampler.denoised(x, v, step)

    @property
    def guided(self) -> bool:
        """Two branches, unless the guidance is 1."""
        return self._branches > 1

    def denoise_guided(
        self,
        x: Float[Tensor, "R C a b"],
        step: int,
        condition: Condition,
        ops: Executor,
        difference: Float[Tensor, "R C a b"] | None,
    ) -> tuple[Float[Tensor, "R C a b"], Float[Tensor, "R C a b"]]:
        """The same, and the difference of the branches' ``v``; see :class:`GuidedModel`."""
        if difference is not None:
            context = replace(condition.context, skipped=1)
            condition = replace(condition, context=context)
        v = predicted(
            self._networks.unet, x, condition, step, self.config.frame_stride, ops, self._dtype
        )
        if difference is None:
            unconditional, conditional = v.chunk(2)
            difference = conditional - unconditional
        else:
            unconditional, conditional = v - difference, v
        guided = self._guidance(unconditional, conditional, ops)
        return condition.sampler.denoised(x, guided, step), difference

    def _encode(self, images: Float[Tensor, "V 3 H W"], noise: Tensor | None) -> Tensor:
        multiple = self.latent_factor * self.tile
        if images.shape[2] % multiple or images.shape[3] % multiple:
            raise SceneError(
                f"ViewCrafter cannot encode images of {images.shape[2]}x{images.shape[3]} pixels: "
                f"sides must be multiples of {multiple}.",
                hint="Set the pipeline's size, for example to [576, 1024].",
            )
        size = self.config.autoencoder_batch
        batches = images.split(size)
        draws = [None] * len(batches) if noise is None else list(noise.split(size))
        parts = zip(batches, draws, strict=True)
        return torch.cat([self._encode_batch(batch, draw) for batch, draw in parts])

    def _encode_batch(self, images: Tensor, noise: Tensor | None) -> Tensor:
        autoencoder = self._networks.autoencoder
        posterior = autoencoder.posterior((2 * images - 1).to(self._dtype))
        latents = posterior.mean
        if noise is not None:
            latents = latents + posterior.std * noise.to(self._dtype)
        scaled: Tensor = autoencoder.scale_factor * latents.float()
        return scaled

    def _image_tokens(self, image: Float[Tensor, "1 3 H W"]) -> Float[Tensor, "1 m D"]:
        tokens: Tensor = self._networks.resampler(self._networks.image_tower(2 * image - 1))
        return tokens

    def _check_clip_length(self, num_frames: int, tokens: int) -> None:
        wanted = tokens // self.config.resampler.num_queries
        if self.config.per_frame_context and num_frames != wanted:
            raise CapabilityError(
                f"per_frame_context deals {tokens} image tokens to {wanted} frames, but this clip "
                f"has {num_frames}.",
                hint="Set per_frame_context = false, or ask for another number of targets.",
            )


def predicted(
    network: UNet,
    x: Float[Tensor, "R C a b"],
    condition: Condition,
    step: int,
    frame_stride: int,
    ops: Executor,
    dtype: torch.dtype,
) -> Float[Tensor, "gR C a b"]:
    """The network's ``v`` of the held rows in every branch that the context does not skip."""
    joined = torch.cat([x.to(dtype), ops.maps(condition.latents)], dim=1)
    v: Tensor = network(
        joined.repeat(condition.context.held_branches, 1, 1, 1),
        torch.full((1,), condition.sampler.timesteps[step], device=x.device),
        torch.full((1,), frame_stride, device=x.device),
        condition.context,
        ops,
    )
    return v.float()
