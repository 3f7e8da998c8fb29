"""SEVA as a diffusion model of the engine."""

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.protocols import Executor
from sphinx_framework.types import ClipLayout, CoarseViews, Scene
from sphinx_framework.weights import (
    Pin,
    Source,
    load_strictly,
    randomise,
    read_tensors,
)
from sphinx_framework_seva.autoencoder import FACTOR, build_autoencoder
from sphinx_framework_seva.cameras import normalised_intrinsics, normalised_poses, pluecker_maps
from sphinx_framework_seva.conditioning import SevaCondition, assembled
from sphinx_framework_seva.config import SevaConfig
from sphinx_framework_seva.denoiser import denoised, scaled, with_inputs
from sphinx_framework_seva.guidance import guidance_scale, guided
from sphinx_framework_seva.image_encoder import build_image_encoder
from sphinx_framework_seva.layouts import clip_layouts
from sphinx_framework_seva.network import UNet
from sphinx_framework_seva.noise_levels import noise_levels
from sphinx_framework_seva.precision import chosen_channels_last, chosen_dtype
from sphinx_framework_seva.sampler import SevaSampler

WHAT = "SEVA U-Net"
# The commit, as several projects that pin it publish it.
OFFICIAL = {
    "official": Pin(
        repo="stabilityai/stable-virtual-camera",
        file="modelv1.1.safetensors",
        commit="e538e251c1009e9a41cf8b7fee5f21332a1960de",
    )
}


class SevaModel:
    """The U-Net with its VAE, image encoder, cameras, conditioning and sampler.

    The state is float32; network, VAE and image encoder run in ``config.dtype``.
    """

    latent_factor = FACTOR

    def __init__(self, config: SevaConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        """Load or make all weights; raises :class:`WeightsError` where they cannot be had."""
        self.config = config
        self.device = device
        self.tile = config.coarsest
        self.levels = noise_levels()
        self.network = build_network(config, device)
        self.autoencoder = build_autoencoder(config, device)
        self.image_encoder = build_image_encoder(config, device)

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """One clip, or several by ``config.chunking``.

        Raises:
            SceneError: the image size is not legal for the network.
            ConfigError: the inputs leave no room for targets.
        """
        self._check_size(scene.targets.image_size)
        return clip_layouts(scene, self.config)

    def encode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Scaled posterior means of images in [0, 1]; raises ``SceneError`` for illegal sizes."""
        self._check_size((images.shape[2], images.shape[3]))
        return self.autoencoder.encode(images)

    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Latents to images in [0, 1]."""
        return self.autoencoder.decode(latents)

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Float[Tensor, "T C h w"],
        sampler: SevaSampler,
    ) -> SevaCondition:
        """Image embedding, input latents, Pluecker maps and guidance scales of a clip.

        The renders in ``coarse`` are not shown to the network. Targets that an earlier clip has
        finished count as inputs, except for the image embedding, which is of photos only.
        """
        clip = scene.cameras_of(layout)
        everything = torch.cat([scene.inputs.world_from_camera, scene.targets.world_from_camera])
        poses = normalised_poses(clip.world_from_camera, everything, self.config.camera_scale)
        intrinsics = normalised_intrinsics(clip.intrinsics, clip.image_size)
        photos = [slot.index for slot in layout.slots if slot.kind == "input"]
        shown = scene.images[photos] if photos else scene.images
        is_input = torch.tensor(
            [slot.kind == "input" or slot.given for slot in layout.slots], device=clean.device
        )
        return assembled(
            clean=clean,
            sampler=sampler,
            is_input=is_input,
            embeddings=self.image_encoder(shown).to(clean),
            pluecker=pluecker_maps(poses, intrinsics, (clean.shape[2], clean.shape[3])),
            scale=guidance_scale(
                self.config.guider,
                poses,
                intrinsics,
                is_input,
                self.config.cfg,
                self.config.cfg_min,
            ),
        )

    def sampler(self, num_steps: int) -> SevaSampler:
        """The grid of that many steps."""
        return SevaSampler(
            self.levels,
            num_steps,
            solver=self.config.solver,
            step_noise=self.config.step_noise,
        )

    def denoise(
        self, x: Float[Tensor, "R C a b"], step: int, condition: SevaCondition, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Guided prediction of the clean latents of the held rows."""
        schedule = condition.sampler
        return denoise_rows(
            self.network,
            x,
            index=schedule.time_indices[step],
            sigma=schedule.sigmas[step],
            condition=condition,
            ops=ops,
            keep_modulations=self.config.keep_modulations,
        )

    @property
    def guided(self) -> bool:
        """It always has two branches."""
        return True

    def denoise_guided(
        self,
        x: Float[Tensor, "R C a b"],
        step: int,
        condition: SevaCondition,
        ops: Executor,
        difference: Float[Tensor, "R C a b"] | None,
    ) -> tuple[Float[Tensor, "R C a b"], Float[Tensor, "R C a b"]]:
        """The same, and the difference of the predicted noises; see :class:`GuidedModel`."""
        schedule = condition.sampler
        clean, noise = predicted_rows(
            self.network,
            x,
            index=schedule.time_indices[step],
            sigma=schedule.sigmas[step],
            condition=condition,
            ops=ops,
            keep_modulations=self.config.keep_modulations,
            difference=difference,
        )
        if difference is None:
            without, given = noise.chunk(2)
            difference = given - without
        return clean, difference

    def _check_size(self, size: tuple[int, int]) -> None:
        multiple = FACTOR * self.config.coarsest
        if any(side % multiple or side == 0 for side in size):
            legal = tuple(max(1, round(side / multiple)) * multiple for side in size)
            raise SceneError(
                f"SEVA cannot work on images of {size[0]}x{size[1]} (height x width): sides must "
                f"be multiples of {multiple}.",
                hint=f"The nearest legal size is {legal[0]}x{legal[1]}; it was trained on 576x576.",
            )


def denoise_rows(
    network: UNet,
    x: Float[Tensor, "R C a b"],
    *,
    index: int,
    sigma: float,
    condition: SevaCondition,
    ops: Executor,
    keep_modulations: bool = True,
) -> Float[Tensor, "R C a b"]:
    """Both guidance branches of the held rows at one noise level, combined.

    Args:
        network: the U-Net; its dtype is the one computed in.
        x: state, float32.
        index: of the noise level among all levels, the network's time step.
        sigma: that level.
        condition: of the clip.
        ops: what gives access to other frames and pixels.
        keep_modulations: see :class:`Signals`.
    """
    clean, _ = predicted_rows(
        network,
        x,
        index=index,
        sigma=sigma,
        condition=condition,
        ops=ops,
        keep_modulations=keep_modulations,
    )
    return clean


def predicted_rows(
    network: UNet,
    x: Float[Tensor, "R C a b"],
    *,
    index: int,
    sigma: float,
    condition: SevaCondition,
    ops: Executor,
    keep_modulations: bool,
    difference: Float[Tensor, "R C a b"] | None = None,
) -> tuple[Float[Tensor, "R C a b"], Float[Tensor, "gR C a b"]]:
    """Guided clean latents, and the noise that each branch predicted; see :func:`denoise_rows`.

    difference: conditional minus unconditional noise, to use as it is: the conditional branch runs
        alone.
    """
    dtype = network.dtype
    skipped = 0 if difference is None else len(condition.replace) // 2
    states = torch.cat([x, x]) if difference is None else x
    both = with_inputs(states, ops.maps(condition.replace[skipped:]))
    inputs = torch.cat([scaled(both, sigma), ops.maps(condition.concat[skipped:])], dim=1)
    prediction = network(
        inputs.to(dtype, memory_format=network.memory_format),
        torch.full((1,), index, device=x.device),
        condition.context.to(dtype),
        condition.dense.to(dtype),
        ops,
        keep_modulations=keep_modulations,
    )
    noise = prediction.to(x.dtype)
    clean = denoised(both, noise, sigma)
    scale = ops.rows(condition.scale)
    if difference is not None:
        # Without the condition no inputs are put in.
        unconditional = denoised(x, noise - difference, sigma)
        return guided(unconditional, clean, scale), noise
    unconditional, conditional = clean.chunk(2)
    return guided(unconditional, conditional, scale), noise


def build_network(config: SevaConfig, device: torch.device) -> UNet:
    """Load the U-Net named by ``config.weights``, or make a random one.

    Raises:
        WeightsError: the checkpoint is missing, gated, or does not fit.
    """
    dtype = chosen_dtype(config, device)
    with torch.device("meta"):
        network = UNet(config)
    if config.weights == "random":
        randomise(network, config.seed, dtype=dtype, device=device)
    else:
        path = Source(
            what=WHAT,
            weights=config.weights,
            options=config,
            official=OFFICIAL,
            endpoint=config.hub_endpoint,
        ).path()
        tensors = read_tensors(path, WHAT)
        load_strictly(network, tensors, f"{WHAT}: {path}", dtype=dtype, device=device)
    if chosen_channels_last(config, device):
        network.use_channels_last()
    return network
