"""The regression stage: learned depth of the inputs, splatted to every target in one pass."""

import torch

from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import CoarseViews, Scene
from sphinx_framework_lite.config import RegressionConfig
from sphinx_framework_lite.depth import DepthNetwork
from sphinx_framework_lite.gaussians import lifted_gaussians
from sphinx_framework_lite.predict import input_depth, source_closeness, source_renders
from sphinx_framework_lite.splat import fill_holes, fuse
from sphinx_framework_lite.weights import build

# All networks saw scenes of the first side, the U-Net of the second, too; depth is estimated at 128
# at most (``depth_side``).
TRAINED_SIDES = (96, 192)
# Up to this factor beyond is like them.
SLACK = 1.5


class LiteRegression:
    """Cost-volume depth of all inputs, two-source splats, push-pull hole filling."""

    def __init__(
        self, config: RegressionConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
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
        config = self._config
        found = input_depth(self._network, scene, config.depth_side, config.photometric)
        sources = source_renders(scene, found, scene.targets, config.stride)
        fused = fuse(sources, source_closeness(scene, scene.targets))
        images = fill_holes(fused.images, fused.opacity)
        return CoarseViews(
            warnings=outside_of_training(scene),
            images=images.clamp(0, 1),
            opacity=fused.opacity.clamp(0, 1),
            depth=fused.depth,
            gaussians=lifted_gaussians(scene, found),
            input_depth=found.depth,
            input_confidence=found.confidence,
        )


def outside_of_training(scene: Scene) -> tuple[str, ...]:
    """What of a scene the networks have not seen, as sentences for the report."""
    found = []
    height, width = scene.images.shape[-2:]
    least, most = TRAINED_SIDES
    if max(height, width) > SLACK * most or min(height, width) < least / SLACK:
        found.append(
            f"the lite models were trained at {least}x{least} pixels, the U-Net at {most}x{most} "
            f"too, not at {height}x{width}"
        )
    if len(scene.inputs) > 2:
        found.append(f"the lite models were trained with 2 inputs, not {len(scene.inputs)}")
    if scene.near is None or scene.far is None:
        found.append(
            "the scene's depth range is unknown: the lite models search 0.6 to 20 times the "
            "distance of the inputs"
        )
    return tuple(found)
