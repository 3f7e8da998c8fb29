"""A feed-forward Gaussian model as a regression stage: photos to Gaussians to target views."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import CapabilityError
from sphinx_framework.geometry.rotations import matrices_from_quaternions
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.types import CoarseViews, Gaussians, Scene
from sphinx_framework_ffgs.config import FfgsConfig
from sphinx_framework_ffgs.loading import ffgs, loaded

# Predicted cameras that fit the scene's worse than this are worth a warning.
WORST_DEGREES, WORST_SHARE = 3.0, 0.1
# Below this opacity a colour is mostly rounding, and the photos' mean colour stands in for it.
FAINT = 0.02


class FeedForwardGaussians:
    """Renders every target from the Gaussians that the model makes of all photos.

    Raises (on construction):
        WeightsError: the package or the model cannot be had.
    """

    def __init__(self, config: FfgsConfig, device: torch.device, parts: Parts = NO_PARTS) -> None:
        self.config = config
        self.device = device
        self._package = ffgs()
        self._pipeline = loaded(config, device)

    @torch.no_grad()
    def predict(self, scene: Scene) -> CoarseViews:
        """Render all targets at the scene's size.

        Raises:
            SceneError: whatever :meth:`Scene.validate` finds, or cameras that do not fit the
                model's.
            CapabilityError: the model cannot take this scene (its number of photos, their size).
        """
        scene.validate()
        here = scene.to(self.device)
        output = self._asked(here)
        gaussians = world_gaussians(output.to_world().gaussians)
        near, _ = self._pipeline.processor.render_planes(output.frame)
        view = render_gaussians(
            gaussians, here.targets, near=float(near), backend=self.config.rasterizer
        )
        opacity = view.opacity.float().clamp(0, 1)
        return CoarseViews(
            images=straight(view.images.float(), opacity, here.images.float().mean((0, 2, 3))),
            opacity=opacity,
            depth=(view.depth.float() / opacity.clamp(min=FAINT)).clamp(min=0) * (opacity > FAINT),
            gaussians=gaussians,
            warnings=_said_of_cameras(output.frame),
        )

    def _asked(self, scene: Scene) -> Any:
        """What the pipeline makes of the photos."""
        cameras = scene.inputs
        views = self._package.Views(
            scene.images.float(),
            cameras.intrinsics.float(),
            cameras.world_from_camera.float(),
        )
        try:
            return self._pipeline(views)
        except ValueError as error:
            raise CapabilityError(
                f"ffgs: {self.config.weights!r} cannot take this scene of {len(cameras)} photos: "
                f"{error}",
                hint="Choose another model, other photos, or another size.",
            ) from error


def world_gaussians(found: Any) -> Gaussians:
    """Gaussians of ffgs in the world frame, a batch of one, as ours; invisible ones are dropped."""
    visible = found.opacities[0] > 0
    scales, quaternions = found.scales[0][visible].float(), found.quats[0][visible].float()
    axes = matrices_from_quaternions(quaternions) * scales[:, None]
    return Gaussians(
        means=found.means[0][visible].float(),
        covariances=axes @ axes.mT,
        harmonics=found.sh()[0][visible].float().mT.contiguous(),
        opacities=found.opacities[0][visible].float().clamp(0, 1),
        scales=scales,
        rotations=quaternions,
    )


def straight(
    premultiplied: Float[Tensor, "T 3 H W"],
    opacity: Float[Tensor, "T H W"],
    filling: Float[Tensor, "3"],
) -> Float[Tensor, "T 3 H W"]:
    """Colours without their opacity, in [0, 1]; ``filling`` where there are none."""
    weight = opacity[:, None]
    colours = premultiplied / weight.clamp(min=FAINT)
    share = (weight / FAINT).clamp(max=1)
    return torch.lerp(filling.view(1, 3, 1, 1), colours, share).clamp(0, 1)


def _said_of_cameras(frame: Any) -> tuple[str, ...]:
    """How well cameras that the model predicted fit the scene's."""
    residuals = getattr(frame, "residuals", None)
    if residuals is None:
        return ()
    degrees = float(residuals.rotation_deg.max())
    share = float(residuals.relative_center_error.max())
    if degrees <= WORST_DEGREES and share <= WORST_SHARE:
        return ()
    return (
        f"the model's own cameras fit the scene's badly: up to {degrees:.1f} degrees and "
        f"{share:.0%} of the cameras' spread off",
    )
