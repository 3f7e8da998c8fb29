"""The contract of every role, as test classes: a plugin subclasses one and implements ``make``.

The methods need no test framework, so ``sphinx-nvs check NAME`` runs the same classes on installed
components. A method that does not apply raises :class:`NotApplicable`. A failure says what was
expected, what came, and which paragraph of the documentation explains it.
"""

from sphinx_framework.testing.contracts.base import Contract as Contract
from sphinx_framework.testing.contracts.base import NotApplicable as NotApplicable
from sphinx_framework.testing.contracts.diffusion import DiffusionContract as DiffusionContract
from sphinx_framework.testing.contracts.embedder import EmbedderContract as EmbedderContract
from sphinx_framework.testing.contracts.mask import MaskContract as MaskContract
from sphinx_framework.testing.contracts.poses import PoseContract as PoseContract
from sphinx_framework.testing.contracts.quality import QualityContract as QualityContract
from sphinx_framework.testing.contracts.regression import RegressionContract as RegressionContract
from sphinx_framework.testing.contracts.scene_reader import (
    SceneReaderContract as SceneReaderContract,
)
from sphinx_framework.testing.contracts.steps import StepsContract as StepsContract

CONTRACTS: dict[str, type[Contract]] = {
    "regression": RegressionContract,
    "diffusion": DiffusionContract,
    "quality": QualityContract,
    "mask": MaskContract,
    "steps": StepsContract,
    "embedder": EmbedderContract,
    "poses": PoseContract,
    "scene_reader": SceneReaderContract,
}
