"""Stable Video Diffusion of diffusers as a diffusion model of the framework: whole clips only."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sphinx_framework.geometry.stretches import clips_along_the_path
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.protocols import Executor
from sphinx_framework.types import ClipLayout, CoarseViews, Scene
from sphinx_framework_diffusers.config import StableVideoConfig
from sphinx_framework_diffusers.levels import StockSampler
from sphinx_framework_diffusers.loading import stable_video

IMAGE_SEED = 20231121  # any fixed number: equal requests give equal bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one photo says of a clip: its latents and its embedding; guidance per frame."""

    latents: Float[Tensor, "C h w"]
    embedding: Float[Tensor, "1 1 E"]
    guidance: Float[Tensor, "T 1 1 1"]
    sampler: StockSampler


class StableVideo:
    """The stock network on whole clips; cameras are unknown to it, geometry is in the renders."""

    def __init__(
        self, config: StableVideoConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        """Load the pipeline; see :func:`stable_video` for the errors."""
        self.config = config
        self.device = device
        self._parts = stable_video(config, device)
        self._dtype: torch.dtype = getattr(torch, config.dtype)
        self.latent_factor = 2 ** (len(self._parts.autoencoder.config.block_out_channels) - 1)
        # The network halves latents between its levels.
        self.tile = 2 ** (len(self._parts.unet.config.block_out_channels) - 1)

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """Clips along the path; the decoder mixes frames, so each is decoded whole."""
        return tuple(
            ClipLayout(
                slots=clip.slots,
                notes=clip.notes,
                latents=tuple((slot,) for slot in range(len(clip))),
            )
            for clip in clips_along_the_path(scene, self.config.clip_frames)
        )

    def encode(self, images: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "T C h w"]:
        """Scaled posterior modes, frame by frame."""
        scaled: Tensor = self._mode(images) * self._parts.autoencoder.config.scaling_factor
        return scaled

    def decode(self, latents: Float[Tensor, "T C h w"]) -> Float[Tensor, "T 3 H W"]:
        """Frames of a clip, in chunks within which the decoder smooths over time."""
        autoencoder = self._parts.autoencoder
        unscaled = (latents / autoencoder.config.scaling_factor).to(autoencoder.dtype)
        frames = [
            autoencoder.decode(part, num_frames=len(part)).sample.float()
            for part in unscaled.split(self.config.decode_chunk)
        ]
        return (torch.cat(frames) / 2 + 0.5).clamp(0, 1)

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Float[Tensor, "T C h w"],
        sampler: StockSampler,
    ) -> Condition:
        """Encode the clip's first frame: a photo, or a target that an earlier clip made."""
        first = layout.slots[0]
        given = first.kind == "input"
        image = scene.images[first.index][None] if given else self.decode(clean[:1])
        config = self.config
        draw = torch.randn(image.shape, generator=torch.Generator().manual_seed(IMAGE_SEED))
        # Noise is in units of [-1, 1].
        noisy = image + (config.image_noise / 2) * draw.to(image)
        guidance = torch.linspace(config.min_guidance, config.max_guidance, len(layout))
        return Condition(
            latents=self._mode(noisy)[0],
            embedding=self._embedding(image),
            guidance=guidance.to(clean).view(-1, 1, 1, 1),
            sampler=sampler,
        )

    def sampler(self, num_steps: int) -> StockSampler:
        """The levels of the pipeline's own scheduler."""
        return StockSampler(self._parts.scheduler, num_steps)

    def denoise(
        self, x: Float[Tensor, "T C h w"], step: int, condition: Condition, ops: Executor
    ) -> Float[Tensor, "T C h w"]:
        """Predict clean latents of the whole clip, with guidance that grows along it."""
        sampler = condition.sampler
        scaled = sampler.scaled(x, step)
        photo = condition.latents.expand(len(x), -1, -1, -1)
        told = self._predicted(scaled, photo, condition.embedding, sampler.timesteps[step])
        if self.config.max_guidance > 1:
            blank = torch.zeros_like(photo), torch.zeros_like(condition.embedding)
            untold = self._predicted(scaled, *blank, sampler.timesteps[step])
            told = untold + condition.guidance * (told - untold)
        return sampler.clean(x, told, step)

    def _predicted(
        self, scaled: Tensor, photo: Tensor, embedding: Tensor, timestep: float
    ) -> Float[Tensor, "T C h w"]:
        """One run of the stock network, in the units of its scheduler."""
        config = self.config
        told = torch.tensor([[config.fps - 1, config.motion_bucket, config.image_noise]])
        prediction: Tensor = self._parts.unet(
            torch.cat([scaled, photo], dim=1)[None].to(self._dtype),
            torch.tensor(timestep, device=scaled.device),
            encoder_hidden_states=embedding.to(self._dtype),
            added_time_ids=told.to(device=scaled.device, dtype=self._dtype),
        ).sample
        return prediction[0].float()

    def _mode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Posterior modes, unscaled."""
        autoencoder = self._parts.autoencoder
        parts = (2 * images - 1).to(autoencoder.dtype).split(self.config.decode_chunk)
        found = [autoencoder.encode(part).latent_dist.mode().float() for part in parts]
        return torch.cat(found)

    def _embedding(self, image: Float[Tensor, "1 3 H W"]) -> Float[Tensor, "1 1 E"]:
        """What the pipeline's image encoder sees in a photo."""
        parts = self._parts
        side = parts.image_encoder.config.image_size
        if image.shape[-2:] != (side, side):
            image = F.interpolate(
                image, (side, side), mode="bicubic", antialias=True, align_corners=False
            )
        mean, deviation = (
            image.new_tensor(values).view(1, 3, 1, 1) for values in (parts.mean, parts.deviation)
        )
        seen = ((image - mean) / deviation).to(self._dtype)
        embedding: Tensor = parts.image_encoder(seen).image_embeds
        return embedding[:, None].float()
