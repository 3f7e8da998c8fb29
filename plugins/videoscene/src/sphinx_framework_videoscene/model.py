"""VideoScene as a diffusion model of the framework: one leap from the renders to the clip."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import CapabilityError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.protocols import Executor
from sphinx_framework.types import ClipLayout, CoarseViews, Scene
from sphinx_framework_videoscene import clips
from sphinx_framework_videoscene.autoencoder import noisy
from sphinx_framework_videoscene.config import VideoSceneConfig
from sphinx_framework_videoscene.sampler import LeapSampler, trailing_timesteps
from sphinx_framework_videoscene.weights import built_networks

CONDITION_SEED = 20250401  # any fixed number: equal requests give equal bytes
LEVELS = 3  # halvings of a side by the autoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Latents of the two photos at their places, zero in between, and the request's sampler."""

    latents: Float[Tensor, "T C h w"]
    sampler: LeapSampler


class VideoScene:
    """Video diffusion without poses: geometry enters through the renders alone.

    A row is a latent frame, which holds four frames of the clip (the first holds one).
    """

    latent_factor = 2**LEVELS

    def __init__(
        self, config: VideoSceneConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        """Build and fill the networks; see :func:`built_networks` for the errors."""
        self.config = config
        self.device = device
        self.tile = config.transformer.patch_size
        self._dtype: torch.dtype = getattr(torch, config.dtype)
        self._networks = built_networks(config, device)

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """Clips of the one length between every two neighbouring photos; see :mod:`.clips`.

        Raises :class:`CapabilityError` for other sizes than the network's, for one photo, and for
        numbers of frames that the autoencoder does not give back.
        """
        self._check_size(scene.targets.image_size)
        frames = self.config.frames
        compression = self.config.transformer.temporal_compression_ratio
        if frames < 2 * compression or frames % (2 * compression) != 1:
            # It decodes two latents at a time, and the first latent holds one frame only.
            raise CapabilityError(
                f"VideoScene's autoencoder decodes clips of {2 * compression} k + 1 frames, not of "
                f"{frames}.",
                hint="Set diffusion.transformer.sample_frames to such a number (49 officially).",
            )
        return clips.layouts(scene, frames, compression)

    def encode(self, images: Float[Tensor, "S 3 H W"]) -> Float[Tensor, "T C h w"]:
        """Scaled posterior means of a clip; raises :class:`CapabilityError` for other sizes."""
        self._check_size(tuple(images.shape[-2:]))
        return self._networks.autoencoder.encode(images)

    def decode(self, latents: Float[Tensor, "T C h w"]) -> Float[Tensor, "S 3 H W"]:
        """Frames of a clip's scaled latents."""
        return (self._networks.autoencoder.decode(latents) / 2 + 0.5).clamp(0, 1)

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Float[Tensor, "T C h w"],
        sampler: LeapSampler,
    ) -> Condition:
        """Encode the photos at both ends, each as a clip of one frame."""
        latents = torch.zeros_like(clean)
        for place, slot in ((0, layout.slots[0]), (len(clean) - 1, layout.slots[-1])):
            image = scene.images[slot.index][None]
            image = noisy(image, self.config.condition_sigma, CONDITION_SEED + place)
            latents[place] = self._networks.autoencoder.encode(image)[0]
        return Condition(latents=latents, sampler=sampler)

    def sampler(self, num_steps: int) -> LeapSampler:
        """Evenly spaced timesteps; the authors' leaps, 549 and 459, are steps 45 and 54 of 100."""
        return LeapSampler(trailing_timesteps(num_steps), self.config.solver)

    def denoise(
        self, x: Float[Tensor, "R C h w"], step: int, condition: Condition, ops: Executor
    ) -> Float[Tensor, "R C h w"]:
        """Predict clean latents from the velocity."""
        timestep = condition.sampler.timesteps[step]
        joined = torch.cat([x, ops.maps(condition.latents)], dim=1).to(self._dtype)
        v = self._networks.transformer(
            joined,
            torch.full((1,), timestep, device=x.device),
            self._networks.text,
            ops,
        ).float()
        return condition.sampler.clean(x, v, step)

    def _check_size(self, size: tuple[int, ...]) -> None:
        sizes = self.config.transformer
        wanted = (sizes.sample_height * self.latent_factor, sizes.sample_width * self.latent_factor)
        if size != wanted:
            raise CapabilityError(
                f"VideoScene makes frames of {wanted[0]}x{wanted[1]} pixels, not of "
                f"{size[0]}x{size[1]}: its positions are learned for that size.",
                hint=f"Set the pipeline's size to [{wanted[0]}, {wanted[1]}].",
            )
