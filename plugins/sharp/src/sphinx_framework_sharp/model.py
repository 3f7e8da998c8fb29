"""SHARP as a regression model: scene in, target views with opacity, depth and Gaussians out."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import JobError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.splatting.contract import DILATION, GaussianRender
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.splatting.harmonics import harmonics_from_colours
from sphinx_framework.types import Cameras, CoarseViews, Gaussians, Scene
from sphinx_framework_sharp.compose import FrustumGaussians, srgb_from_linear
from sphinx_framework_sharp.config import SharpConfig
from sphinx_framework_sharp.network import SharpNetwork
from sphinx_framework_sharp.weights import load_weights
from sphinx_framework_sharp.world import gaussians_in_world, nearest_inputs

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NEAREST_QUANTILE = 0.01
# Gaussians nearer to a target than this share of the photo's nearest content are not drawn.
CULLING = 0.01
NAMED_TARGETS = 8


class Sharp:
    """Turns the nearest photo of every target into Gaussians and renders the target from them.

    Raises (on construction):
        WeightsError: the checkpoint is missing or does not fit the network.
    """

    def __init__(self, config: SharpConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.config = config
        self.device = device
        with torch.device("meta"):
            network = SharpNetwork(config.network, PRECISIONS[config.dtype])
        load_weights(network, config)
        network.drop_unused()
        self.network = network.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def predict(self, scene: Scene) -> CoarseViews:
        """Render all targets at the scene's size; images are clamped to [0, 1].

        Raises:
            SceneError: whatever :meth:`Scene.validate` finds.
            ConfigError: the chosen rasterizer cannot run here.
            JobError: the network's output is not finite.
        """
        scene.validate()
        here = scene.to(self.device)
        chosen = nearest_inputs(here.inputs, here.targets)
        size = scene.targets.image_size
        images = torch.empty(len(chosen), 3, *size, device=self.device)
        opacity = torch.empty(len(chosen), *size, device=self.device)
        depth = torch.empty_like(opacity)
        used = [int(index) for index in chosen.unique()]
        most = max(used, key=lambda index: int((chosen == index).sum()))
        scales = {}
        handed_on: Gaussians | None = None
        for index in used:
            gaussians, scales[index], nearest = self._of_photo(here, index)
            served = (chosen == index).nonzero().flatten()
            view = self._rendered(gaussians, here.targets[served.tolist()], CULLING * nearest)
            images[served] = srgb_from_linear(view.images.float().clamp(0, 1))
            opacity[served] = view.opacity.float().clamp(0, 1)
            depth[served] = view.depth.float()
            if index == most:
                handed_on = _in_srgb(gaussians)
        return CoarseViews(
            images=images.clamp(0, 1),
            opacity=opacity,
            depth=depth,
            gaussians=handed_on,
            warnings=(
                *self._said_of_scale(scene, scales),
                *_said_of_photos(len(scene.inputs), used, most),
            ),
        )

    def encode(self, image: Float[Tensor, "3 H W"], focal_over_width: float) -> FrustumGaussians:
        """One photo, sRGB in [0, 1], to Gaussians in its frustum, metres; a batch of one."""
        side = self.config.network.image_size
        square = functional.interpolate(
            image[None].float(), (side, side), mode="bilinear", align_corners=True
        )
        return self.network(square, square.new_tensor([focal_over_width]))

    def _of_photo(self, scene: Scene, index: int) -> tuple[Gaussians, float, float]:
        """Gaussians in the world, linear colours; units per metre; nearest depth in units."""
        camera = scene.inputs[index]
        focal = float(camera.intrinsics[0, 0, 0]) / camera.image_size[1]
        made = self.encode(scene.images[index], focal)
        parts = (made.means, made.scales, made.quaternions, made.colours, made.opacities)
        if not all(bool(part.isfinite().all()) for part in parts):
            raise JobError(
                f"sharp's network produced NaN or infinity in {self.config.dtype}.",
                hint="Use dtype 'float32'; if that is in use, check the weights.",
            )
        depths = made.means[0, :, 2]
        rank = max(1, int(NEAREST_QUANTILE * len(depths)))
        nearest = float(depths.kthvalue(rank).values)
        scale = self.config.units_per_metre or (1.0 if scene.near is None else scene.near / nearest)
        return gaussians_in_world(made, 0, camera, scale).gaussians, scale, scale * nearest

    def _rendered(self, gaussians: Gaussians, targets: Cameras, near: float) -> GaussianRender:
        low_pass = self.config.low_pass
        if low_pass is None:
            cells = self.config.network.image_size // 2
            low_pass = 0.0 if min(targets.image_size) >= cells else DILATION
        return render_gaussians(
            gaussians,
            targets,
            background=torch.tensor(self.config.background),
            near=near,
            dilation=low_pass,
            backend=self.config.rasterizer,
        )

    def _said_of_scale(self, scene: Scene, scales: dict[int, float]) -> tuple[str, ...]:
        if self.config.units_per_metre is not None:
            return ()
        if scene.near is None:
            return (
                "sharp takes a scene unit for a metre, because nothing says how long one is: if "
                "targets move too far or too little, set units_per_metre",
            )
        told = ", ".join(f"{value:.4g}" for value in list(scales.values())[:NAMED_TARGETS])
        return (
            f"sharp puts the nearest content of each photo at the scene's near ({scene.near:g}): "
            f"a metre is {told} scene units; if you know the unit, set units_per_metre",
        )


def _in_srgb(gaussians: Gaussians) -> Gaussians:
    """With the colours that other viewers expect of a file."""
    black, white = (
        harmonics_from_colours(torch.full((1, 3), value, device=gaussians.means.device))
        for value in (0.0, 1.0)
    )
    # Degree 0 only, so a colour lies as far between black and white as its coefficient.
    colours = ((gaussians.harmonics - black) / (white - black))[..., 0]
    return replace(gaussians, harmonics=harmonics_from_colours(srgb_from_linear(colours)))


def _said_of_photos(count: int, used: list[int], most: int) -> tuple[str, ...]:
    if count == 1:
        return ()
    named = ", ".join(str(index) for index in used[:NAMED_TARGETS])
    more = ", ..." if len(used) > NAMED_TARGETS else ""
    return (
        f"sharp reads one photo per target, the nearest: {len(used)} of {count} inputs are used "
        f"({named}{more}); Gaussians handed on are those of input {most}",
    )
