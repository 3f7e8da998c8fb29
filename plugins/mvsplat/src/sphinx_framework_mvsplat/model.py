"""MVSplat as a regression model: scene in, target views with opacity, depth and Gaussians out."""

from dataclasses import replace

import torch

from sphinx_framework.errors import JobError
from sphinx_framework.nn.precision import network_dtype
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.splatting.harmonics import standard_from_mvsplat
from sphinx_framework.types import CoarseViews, Gaussians, Scene
from sphinx_framework_mvsplat.config import MVSplatConfig
from sphinx_framework_mvsplat.decoder import render_views
from sphinx_framework_mvsplat.encoder import Encoder
from sphinx_framework_mvsplat.inputs import prepare_inputs
from sphinx_framework_mvsplat.weights import load_weights

RENDERED_DEGREE = 3


class MVSplat:
    """Encodes two or more posed photos once and renders every target from the Gaussians.

    Raises (on construction):
        WeightsError: the checkpoint is missing or does not fit the network.
    """

    def __init__(
        self, config: MVSplatConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self.config = config
        self.device = device
        with torch.device("meta"):
            encoder = Encoder(config.encoder, network_dtype(config.dtype, device), RENDERED_DEGREE)
        load_weights(encoder, config)
        self.encoder = encoder.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def predict(self, scene: Scene) -> CoarseViews:
        """Render all targets at the scene's size; images are clamped to [0, 1].

        Raises:
            SceneError: fewer than two inputs, an unusable depth range or size, or NaN.
            ConfigError: the chosen rasterizer cannot run here.
            JobError: the network's output is not finite.
        """
        prepared = prepare_inputs(scene.to(self.device), self.config)
        encoded = self.encoder(prepared.views).scene(0, prepared.unit)
        gaussians = replace(encoded, harmonics=standard_from_mvsplat(encoded.harmonics))
        self._require_finite(gaussians)
        render = render_views(
            gaussians,
            scene.targets.to(self.device),
            prepared.near,
            background=torch.tensor(self.config.background),
            principal_point=self.config.principal_point,
            backend=self.config.rasterizer,
        )
        return CoarseViews(
            images=render.images.clamp(0, 1),
            opacity=render.opacity.clamp(0, 1),
            depth=render.depth,
            gaussians=gaussians,
            warnings=prepared.warnings,
        )

    def _require_finite(self, gaussians: Gaussians) -> None:
        parts = (gaussians.means, gaussians.covariances, gaussians.harmonics, gaussians.opacities)
        if not all(bool(part.isfinite().all()) for part in parts):
            raise JobError(
                f"mvsplat's network produced NaN or infinity in {self.config.dtype}.",
                hint="Use dtype 'float32' or 'bfloat16'; if that is in use, check the weights.",
            )
