"""The small roles: a score, a mask policy, a step policy and an embedder."""

import torch
from torch import Tensor
from torch.nn import functional

from sphinx_framework.options import Options
from sphinx_framework.types import CoarseViews, QualityReport, RefineMask, Scene, StartSteps


class Contrast:
    """The strength of the edges; no use for ``parts``."""

    def __init__(self, options: Options, device: torch.device) -> None:
        """Nothing to load."""

    def score(self, images: Tensor, opacity: Tensor | None = None) -> Tensor:
        """Above 1 for every image."""
        edges = images.diff(dim=3).abs().mean((1, 2, 3)) + images.diff(dim=2).abs().mean((1, 2, 3))
        return 1 + 50 * edges


class Uncertain:
    """Marks what is not certain; the border too."""

    def __init__(self, options: Options, device: torch.device) -> None:
        """Nothing to load."""

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        """Everything where no opacity is known."""
        if coarse.opacity is None:
            return torch.ones_like(coarse.images[:, 0], dtype=torch.bool)
        return coarse.opacity < 0.5


class Linear:
    """Start steps that grow with the ratio."""

    def __init__(self, options: Options, device: torch.device) -> None:
        """Nothing to load."""

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """A target with a ratio of 1 is served as it is at quality 0.5 and below."""
        ratios = report.ratio.nan_to_num(0.0, posinf=1.0).clamp(0, 1).tolist()
        share = min(1.0, 1.5 - quality)
        return StartSteps(
            steps=tuple(int(num_steps * share * ratio) for ratio in ratios),
            notes=("linear in the ratio",),
        )


class Palette:
    """Mean and spread of the colours."""

    def __init__(self, options: Options, device: torch.device) -> None:
        """Nothing to load."""

    def embed(self, images: Tensor) -> Tensor:
        """Seven numbers; the last makes black photos a unit vector too."""
        mean, spread = images.mean((0, 2, 3)), images.std((2, 3)).mean(0)
        return functional.normalize(torch.cat([mean, spread, mean.new_tensor([0.1])]), dim=0)
