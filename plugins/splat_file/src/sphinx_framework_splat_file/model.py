"""Renders every target from the Gaussians of a file: a scene that was trained elsewhere."""

import math
from dataclasses import fields
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import ConfigError
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.splatting.gaussians import render_gaussians
from sphinx_framework.types import Cameras, CoarseViews, Gaussians, Scene
from sphinx_framework_splat_file.config import SplatFileConfig
from sphinx_framework_splat_file.reading import read_gaussians

# Below this opacity a colour is mostly rounding, and the photos' mean colour stands in for it.
_FAINT = 0.02
# What the file shows at the photos' cameras should look like the photos; in dB.
_ALIKE = 12.0


class SplatFile:
    """A regression stage that looks at no photo: its scene is trained already.

    own_world: the Gaussians stay where they are, whatever becomes of the scene's cameras.
    """

    own_world = True

    def __init__(
        self, config: SplatFileConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        """Read the file.

        Raises:
            ConfigError: no file is named.
            SceneError: it cannot be read as Gaussians.
        """
        if not config.file:
            raise ConfigError(
                "splat-file needs a file.", hint="Set regression.file to a .ply or .spz file."
            )
        self.config = config
        self.device = device
        self._file = Path(config.file).expanduser()
        self._origin = (0.0, 0.0, 0.0)
        self.gaussians = _moved(read_gaussians(self._file), device)

    @torch.no_grad()
    def predict(self, scene: Scene) -> CoarseViews:
        """Render all targets at the scene's size; the photos only say whether the file fits them.

        Raises:
            SceneError: whatever :meth:`Scene.validate` finds.
            ConfigError: the chosen renderer cannot run here.
        """
        scene.validate()
        if scene.origin != self._origin:
            # Subtracted in the file's own precision: far from the origin, float32 has lost it.
            self._origin = scene.origin
            self.gaussians = _moved(read_gaussians(self._file, scene.origin), self.device)
        here = scene.to(self.device)
        filling = here.images.float().mean((0, 2, 3))
        images, opacity, depth = self._drawn(here.targets, filling)
        at_inputs, _, _ = self._drawn(here.inputs, filling)
        return CoarseViews(
            images=images,
            opacity=opacity,
            depth=depth,
            gaussians=self.gaussians,
            warnings=self._doubts(at_inputs, here.images.float()),
        )

    def _drawn(
        self, cameras: Cameras, filling: Float[Tensor, "3"]
    ) -> tuple[Float[Tensor, "V 3 H W"], Float[Tensor, "V H W"], Float[Tensor, "V H W"]]:
        """Straight colours with holes filled, opacity, and mean depth where anything is."""
        view = render_gaussians(self.gaussians, cameras, backend=self.config.rasterizer)
        opacity = view.opacity.float().clamp(0, 1)
        weight = opacity[:, None]
        colours = view.images.float() / weight.clamp(min=_FAINT)
        images = torch.lerp(filling.view(1, 3, 1, 1), colours, (weight / _FAINT).clamp(max=1))
        depth = (view.depth.float() / opacity.clamp(min=_FAINT)).clamp(min=0)
        return images.clamp(0, 1), opacity, depth * (opacity > _FAINT)

    def _doubts(
        self,
        shown: Float[Tensor, "N 3 H W"],
        photos: Float[Tensor, "N 3 H W"],
    ) -> tuple[str, ...]:
        told = []
        error = float((shown - photos).square().mean())
        likeness = -10 * math.log10(max(error, 1e-10))
        if likeness < _ALIKE:
            told.append(
                f"{self.config.file}: at the photos' cameras it does not look like the photos "
                f"({likeness:.1f} dB); are its world and that of the cameras the same?"
            )
        return tuple(told)


def _moved(gaussians: Gaussians, device: torch.device) -> Gaussians:
    tensors = {
        field.name: getattr(gaussians, field.name).to(device)
        for field in fields(gaussians)
        if getattr(gaussians, field.name) is not None
    }
    return Gaussians(**tensors)
