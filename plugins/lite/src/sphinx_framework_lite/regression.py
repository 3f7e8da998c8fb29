"""The regression stage: learned depth of the inputs, splatted to every target in one pass."""

import torch

from sphinx_framework.types import CoarseViews, Scene
from sphinx_framework_lite.config import RegressionConfig
from sphinx_framework_lite.depth import DepthNetwork
from sphinx_framework_lite.predict import input_depth, source_closeness, source_renders
from sphinx_framework_lite.splat import fill_holes, fuse
from sphinx_framework_lite.weights import build


class LiteRegression:
    """Cost-volume depth of all inputs, two-source splats, push-pull hole filling."""

    def __init__(self, config: RegressionConfig, device: torch.device) -> None:
        self._config = config
        self._network = build(DepthNetwork, "depth", config.weights, device)

    @torch.no_grad()
    def predict(self, scene: Scene) -> CoarseViews:
        """Render all targets.

        Opacity is coverage times depth confidence: low in holes, at torn depth edges and where the
        two nearest inputs disagree about a colour. Depth is 0 where nothing was splatted.

        Raises:
            SceneError: with fewer than two inputs, or no usable depth range.
        """
        found = input_depth(self._network, scene, self._config.depth_side)
        sources = source_renders(scene, found, scene.targets, self._config.stride)
        fused = fuse(sources, source_closeness(scene, scene.targets))
        images = fill_holes(fused.images, fused.opacity)
        return CoarseViews(
            images=images.clamp(0, 1), opacity=fused.opacity.clamp(0, 1), depth=fused.depth
        )
