"""The protocols a component satisfies, structurally: nothing here needs to be inherited."""

from sphinx_framework.protocols.components import (
    BatchingModel as BatchingModel,
)
from sphinx_framework.protocols.components import (
    DiffusionModel as DiffusionModel,
)
from sphinx_framework.protocols.components import (
    Embedder as Embedder,
)
from sphinx_framework.protocols.components import (
    EstimatedCameras as EstimatedCameras,
)
from sphinx_framework.protocols.components import (
    EvidenceEstimator as EvidenceEstimator,
)
from sphinx_framework.protocols.components import (
    FinishingModel as FinishingModel,
)
from sphinx_framework.protocols.components import (
    GuidedModel as GuidedModel,
)
from sphinx_framework.protocols.components import (
    LossEstimator as LossEstimator,
)
from sphinx_framework.protocols.components import (
    MaskPolicy as MaskPolicy,
)
from sphinx_framework.protocols.components import (
    MeasuredQualities as MeasuredQualities,
)
from sphinx_framework.protocols.components import (
    PoseEstimator as PoseEstimator,
)
from sphinx_framework.protocols.components import (
    QualityEstimator as QualityEstimator,
)
from sphinx_framework.protocols.components import (
    RegressionModel as RegressionModel,
)
from sphinx_framework.protocols.components import (
    RememberingRegression as RememberingRegression,
)
from sphinx_framework.protocols.components import (
    SceneReader as SceneReader,
)
from sphinx_framework.protocols.components import (
    StepPolicy as StepPolicy,
)
from sphinx_framework.protocols.components import (
    takes_evidence as takes_evidence,
)
from sphinx_framework.protocols.executor import (
    Executor as Executor,
)
from sphinx_framework.protocols.executor import (
    Reach as Reach,
)
from sphinx_framework.protocols.sampler import (
    ChoosesSolver as ChoosesSolver,
)
from sphinx_framework.protocols.sampler import (
    Sampler as Sampler,
)
from sphinx_framework.protocols.sampler import (
    SolverStep as SolverStep,
)
from sphinx_framework.protocols.sight import (
    Sight as Sight,
)
from sphinx_framework.protocols.sight import (
    Tokens as Tokens,
)
from sphinx_framework.protocols.training import (
    ObservedScene as ObservedScene,
)
from sphinx_framework.protocols.training import (
    StepsTrainer as StepsTrainer,
)
from sphinx_framework.protocols.training import (
    TrainedSteps as TrainedSteps,
)
