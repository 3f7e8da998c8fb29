"""Tiny deterministic components of every role: the whole road runs on them in milliseconds."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sphinx_framework.nn import Conv2d, FrameConv, GroupNorm, SelfAttention, bind_sites
from sphinx_framework.options import Options
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.protocols import Executor, Sampler
from sphinx_framework.samplers import SigmaSampler, Solver, karras_sigmas
from sphinx_framework.types import (
    Cameras,
    ClipLayout,
    CoarseViews,
    QualityReport,
    RefineMask,
    Scene,
    Slot,
    StartSteps,
)


def fake_cameras(count: int, size: tuple[int, int], offset: float = 0.0) -> Cameras:
    """Cameras on a short straight track, looking along +z."""
    poses = torch.eye(4).repeat(count, 1, 1)
    poses[:, 0, 3] = torch.linspace(0, 0.5, count) + offset
    k = torch.tensor([[size[1], 0, size[1] / 2], [0, size[1], size[0] / 2], [0, 0, 1.0]])
    return Cameras(
        world_from_camera=poses, intrinsics=k.repeat(count, 1, 1).float(), image_size=size
    )


def fake_scene(
    targets: int = 4, inputs: int = 2, size: tuple[int, int] = (32, 32), seed: int = 0
) -> Scene:
    """Smooth random photos on a straight track; the inputs are its ends (and spread between)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(inputs, 3, 4, 4, generator=generator)
    images = F.interpolate(coarse, size, mode="bilinear", align_corners=True)
    return scene_on_track(images, fake_cameras(inputs + targets, size), f"fake-{seed}")


def scene_on_track(images: Float[Tensor, "N 3 H W"], track: Cameras, name: str) -> Scene:
    """Photos at a track's ends (and spread between); the cameras in between are targets."""
    inputs, total = len(images), len(track)
    ends = [round(i * (total - 1) / max(1, inputs - 1)) for i in range(inputs)]
    rest = [i for i in range(total) if i not in ends]
    return Scene(
        images=images,
        inputs=track[ends],
        targets=track[rest],
        name=name,
        near=1.0,
        far=10.0,
        order=tuple(float(i) for i in (*ends, *rest)),
    )


class FakeConfig(Options):
    """Options of the fakes."""

    seed: int = 0
    solver: Solver = "euler"


class FakeRegression:
    """Blends the inputs by target position, turned to the target's view as if infinitely far.

    The opacity has a hole in the middle of each frame.
    """

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.device = device

    def predict(self, scene: Scene) -> CoarseViews:
        """Render every target as a blend of the first and last input."""
        centres = scene.inputs.centres
        axis = centres[-1] - centres[0]
        along = (scene.targets.centres - centres[0]) @ axis / axis.square().sum().clamp(min=1e-12)
        weight = along.clamp(0, 1)[:, None, None, None]
        first, last = (_turned(scene, index) for index in (0, len(scene.inputs) - 1))
        images = (1 - weight) * first + weight * last
        opacity = torch.ones(images.shape[0], *images.shape[2:], device=images.device)
        height, width = opacity.shape[1:]
        opacity[:, height // 4 : height // 2, width // 4 : width // 2] = 0.2
        between = ("photos between the first and the last are not looked at",)
        warnings = between if len(scene.inputs) > 2 else ()
        return CoarseViews(images=images, opacity=opacity, warnings=warnings)


def _turned(scene: Scene, index: int) -> Float[Tensor, "T 3 H W"]:
    """An input as every target would see it from the same place."""
    source, targets = scene.inputs[index], scene.targets
    image = scene.images[index : index + 1].expand(len(targets), -1, -1, -1)
    rotation = source.world_from_camera[:, :3, :3].mT @ targets.world_from_camera[:, :3, :3]
    same = torch.eye(3, device=image.device).expand_as(rotation)
    if torch.equal(rotation, same) and bool((source.intrinsics == targets.intrinsics).all()):
        return image
    height, width = image.shape[-2:]
    rows, columns = (torch.arange(n, device=image.device) + 0.5 for n in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    seen = source.intrinsics @ rotation @ torch.linalg.inv(targets.intrinsics) @ pixels
    depth = seen[:, 2:].clamp(min=1e-3)
    place = (seen[:, :2] / depth / seen.new_tensor([[width], [height]])) * 2 - 1
    grid = place.mT.unflatten(1, (height, width)).clamp(-9, 9)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


class FakeQuality:
    """Brightness and contrast, lowered where the opacity is low; in (0, 2]."""

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.device = device

    def score(
        self, images: Float[Tensor, "V 3 H W"], opacity: Float[Tensor, "V H W"] | None = None
    ) -> Float[Tensor, " V"]:
        """Brightness, lowered where the opacity is low."""
        certain = 1.0 if opacity is None else opacity.mean((1, 2))
        return (images.mean((1, 2, 3)) + images.std((1, 2, 3)) + 0.5) * certain


class FakeMask:
    """Refines where the opacity is below one half."""

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.device = device

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        """Threshold the opacity; without one, everything is uncertain."""
        if coarse.opacity is None:
            return torch.ones_like(coarse.images[:, 0], dtype=torch.bool)
        return coarse.opacity < 0.5


class FakeSteps:
    """Start step proportional to the ratio, later for lower quality targets."""

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.device = device

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """``num_steps * ratio**2``, one half of it at quality 1."""
        share = report.ratio.nan_to_num(0.0).clamp(0, 1) ** 2 * (1.5 - quality)
        steps = (num_steps * share.clamp(0, 1)).long().tolist()
        return StartSteps(steps=tuple(int(s) for s in steps))


class FakeEmbedder:
    """Mean colours of the inputs, normalised."""

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.device = device

    def embed(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, " D"]:
        """Three numbers of unit length."""
        return F.normalize(images.mean((0, 2, 3)) + 0.1, dim=0)


class FakeNetwork(nn.Module):
    """Two levels with every way of looking elsewhere that an executor offers."""

    def __init__(self, channels: int = 8, width: int = 16) -> None:
        super().__init__()
        self.conv_in = Conv2d(channels + 1, width, 3, padding=1)
        self.norm = GroupNorm(4, width)
        self.conv = Conv2d(width, width, 3, padding=1)
        self.down = Conv2d(width, width, 3, stride=2, padding=1)
        self.clip_norm = GroupNorm(4, width)
        self.clip_norm.reach = "frames"
        self.within = SelfAttention(width, 2, 8, "frame")
        self.between = SelfAttention(width, 2, 8, "frames")
        self.everywhere = SelfAttention(width, 2, 8, "clip")
        self.temporal = FrameConv(width, width, (3, 1, 1))
        self.up = Conv2d(width, width, 3, padding=1)
        self.conv_out = Conv2d(2 * width, channels, 3, padding=1)
        bind_sites(self)

    def forward(
        self,
        x: Float[Tensor, "R C a b"],
        time: Float[Tensor, "T 1"],
        rays: Float[Tensor, "T 1 h w"],
        ops: Executor,
    ) -> Float[Tensor, "R C a b"]:
        """Predict clean latents."""
        emb = ops.rows(time)[:, :, None, None]
        top = self.conv_in(torch.cat([x, ops.maps(rays)], dim=1), ops) + emb
        top = top + self.conv(F.silu(self.norm(top, ops)), ops)
        low = self.clip_norm(self.down(top, ops), ops)
        tokens = low.flatten(2).transpose(1, 2)  # [R, n, C]
        for mixer in (self.within, self.between, self.everywhere):
            tokens = tokens + mixer(tokens, ops)
        low = tokens.transpose(1, 2).unflatten(2, low.shape[2:])
        low = low + self.temporal(F.silu(low), ops)
        low = low + 0.1 * ops.across_frames("mean", low).mean(1)
        back = self.up(F.interpolate(low, scale_factor=2.0, mode="nearest"), ops)
        return self.conv_out(torch.cat([top, back], dim=1), ops)


class FakeDiffusion:
    """The fake network behind a 4x pixel-unshuffle 'autoencoder' cut to 8 channels.

    ``calls`` counts the rows (frames or tiles) of every ``denoise`` call, to check reports against.
    """

    latent_factor = 4
    tile = 2

    def __init__(self, config: FakeConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.config = config
        self.device = device
        self.calls: list[tuple[int, int]] = []
        generator = torch.Generator().manual_seed(config.seed)
        self.network = self.build().eval().requires_grad_(False)
        for parameter in self.network.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
        self.network.to(device)

    def build(self) -> nn.Module:
        """The network, with parameters still to be filled."""
        return FakeNetwork()

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """One clip: first input, targets, other inputs."""
        inputs = [Slot(kind="input", index=i) for i in range(len(scene.inputs))]
        targets = [Slot(kind="target", index=i) for i in range(len(scene.targets))]
        return (ClipLayout(slots=(inputs[0], *targets, *inputs[1:])),)

    def encode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Keep the first 8 of 48 unshuffled channels."""
        return F.pixel_unshuffle(images, 4)[:, :8] * 2 - 1

    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Spread three channels over 4x4 pixels."""
        return (
            F.interpolate(latents[:, :3], scale_factor=4.0, mode="nearest")
            .add(1)
            .div(2)
            .clamp(0, 1)
        )

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Tensor,
        sampler: Sampler,
    ) -> Tensor:
        """One ramp per frame."""
        ramp = torch.linspace(-1, 1, clean.shape[-1], device=clean.device)
        return ramp.expand(clean.shape[0], 1, clean.shape[-2], -1)

    def sampler(self, num_steps: int) -> SigmaSampler:
        """Karras levels from 8 down to 0.02."""
        return SigmaSampler(karras_sigmas(num_steps, 0.02, 8.0), self.config.solver)

    def denoise(
        self, x: Float[Tensor, "R C a b"], step: int, condition: Tensor, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Half the state plus what the network makes of it."""
        self.calls.append((step, x.shape[0]))
        time = torch.full((condition.shape[0], 1), step / 50, device=x.device)
        return 0.5 * x + 0.3 * torch.tanh(self.network(x / (1 + x.abs()), time, condition, ops))
