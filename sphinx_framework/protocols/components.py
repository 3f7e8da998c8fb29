"""The protocols a component satisfies, structurally: nothing here needs to be inherited.

A component is built by the registry as ``Factory(options, device, parts)``. Every protocol has a
contract suite in :mod:`sphinx_framework.testing`, which ``sphinx-nvs check NAME`` runs.
"""

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from sphinx_framework.protocols.executor import Executor
from sphinx_framework.protocols.sampler import Sampler
from sphinx_framework.types import (
    Cameras,
    ClipLayout,
    CoarseViews,
    PhotoHints,
    QualityReport,
    RefineMask,
    Scene,
    ScoreEvidence,
    StartSteps,
)

Condition = TypeVar("Condition")
OwnSampler = TypeVar("OwnSampler", bound=Sampler)


class RegressionModel(Protocol):
    """Stage 1: renders every target in one feed-forward pass."""

    def predict(self, scene: Scene) -> CoarseViews:
        """Render all targets; images in [0, 1], opacity where the model knows it."""
        ...


class RememberingRegression(RegressionModel, Protocol):
    """A regression stage that keeps what it computed of a scene for the scene's next request.

    A photo or a target more then costs that photo or target alone, with the same bytes as anew.
    """

    def scene_memory(self) -> Any:
        """An empty memory; what it holds is the model's own affair."""
        ...

    def predict(self, scene: Scene, memory: Any = None) -> CoarseViews:
        """Render all targets, reading and filling a memory: the model's own where none is given."""
        ...


class QualityEstimator(Protocol):
    """A no-reference image score (MUSIQ in the paper)."""

    def score(
        self, images: Float[Tensor, "V 3 H W"], opacity: Float[Tensor, "V H W"] | None = None
    ) -> Float[Tensor, " V"]:
        """Return one finite score per image, larger is better.

        opacity: of the regression renders where known. An estimator may ignore it; photos and
        refined frames are scored without it.
        """
        ...


class EvidenceEstimator(Protocol):
    """A score that asks for what is known of the images: the photos, their renders, their warps.

    The engine hands ``evidence`` to every estimator whose ``score`` has a parameter of that name.
    """

    def score(
        self,
        images: Float[Tensor, "V 3 H W"],
        opacity: Float[Tensor, "V H W"] | None = None,
        *,
        evidence: ScoreEvidence | None = None,
    ) -> Float[Tensor, " V"]:
        """Return one finite score per image; all scores of a request come with evidence, or none.

        evidence: row for row of the images; it may be without opacity and warps.
        """
        ...


@runtime_checkable
class LossEstimator(Protocol):
    """What an estimator that takes evidence may add: how much a refined frame lost.

    The evidence guard asks it, beside its own comparison of low frequencies.
    """

    def lost(
        self, images: Float[Tensor, "V 3 H W"], evidence: ScoreEvidence
    ) -> Float[Tensor, " V"]:
        """Return the PSNR that each image probably lost against its render, in dB, finite.

        Below 0 the image gained. It does not depend on the other images; it may on their evidence.
        """
        ...


def takes_evidence(estimator: QualityEstimator) -> TypeGuard[EvidenceEstimator]:
    """Whether a score asks for evidence."""
    score = getattr(estimator, "score", None)  # asking one without tells whose fault it is
    return callable(score) and "evidence" in signature(score).parameters


class MaskPolicy(Protocol):
    """Decides where a coarse view needs refinement (paper section 5.3)."""

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        """Return True at the pixels to refine."""
        ...


class StepPolicy(Protocol):
    """Turns quality ratios into start steps (the paper's k-logic, section 5.1)."""

    def start_steps(
        self, report: QualityReport, scene: Scene, quality: float, num_steps: int
    ) -> StartSteps:
        """Return a start step in ``0..num_steps`` per target; never decreasing in the ratio."""
        ...


@runtime_checkable
class MeasuredQualities(Protocol):
    """What a step policy may add: the qualities that its rules were measured at.

    A server under load steps down along them; without them it serves the regression views.
    """

    @property
    def qualities(self) -> tuple[float, ...]:
        """Ascending, in (0, 1]."""
        ...


class Embedder(Protocol):
    """Embeds a scene's inputs for the choice of its cluster."""

    def embed(self, images: Float[Tensor, "N 3 H W"]) -> Float[Tensor, " D"]:
        """Return one L2-normalised vector for all inputs together."""
        ...


class EstimatedCameras(Protocol):
    """Cameras of unposed photos in a frame and a unit of length of the estimator's choice.

    near, far: range of the confident depths, ``None`` when there are none.
    """

    @property
    def cameras(self) -> Cameras:
        """One camera per photo, for the photos' own pixels."""
        ...

    @property
    def near(self) -> float | None:
        """Nearest confident depth."""
        ...

    @property
    def far(self) -> float | None:
        """Farthest confident depth."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the estimate doubtful."""
        ...


class PoseEstimator(Protocol):
    """Finds the cameras of unposed photos."""

    def estimate_poses(
        self, images: Float[Tensor, "N 3 H W"], *, hints: PhotoHints | None = None
    ) -> EstimatedCameras:
        """Estimate one camera per photo; images in [0, 1].

        hints: what the files say; an estimator may ignore it.
        """
        ...


class SceneReader(Protocol):
    """Reads one scene format and converts its conventions to ours."""

    def can_read(self, path: Path) -> bool:
        """Cheap test whether the path looks like this format."""
        ...

    def read(self, path: Path, **options: Any) -> Scene:
        """Read the scene at its own size; :func:`sphinx_framework.load_scene` fits it."""
        ...


class DiffusionModel(Protocol[Condition, OwnSampler]):
    """Stage 2: a multi-view latent diffusion model written against :class:`Executor`.

    latent_factor: pixels per latent cell along each axis.
    tile: cells along a tile's side at full latent resolution in block-sparse steps; the network's
        coarsest level must still see at least one cell of it.
    """

    @property
    def latent_factor(self) -> int:
        """A plain attribute will do."""
        ...

    @property
    def tile(self) -> int:
        """A plain attribute will do."""
        ...

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """Split the targets into clips that fit one pass, in the order they must run."""
        ...

    def encode(self, images: Float[Tensor, "S 3 H W"]) -> Float[Tensor, "T C h w"]:
        """Images in [0, 1] to latents (deterministic).

        One latent an image. An autoencoder that compresses time says in :class:`ClipLayout` which
        slots each latent holds, and is handed whole clips only.
        """
        ...

    def decode(self, latents: Float[Tensor, "T C h w"]) -> Float[Tensor, "S 3 H W"]:
        """Latents to images in [0, 1]: the inverse of :meth:`encode`, of the same clip."""
        ...

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Float[Tensor, "T C h w"],
        sampler: OwnSampler,
    ) -> Condition:
        """Everything of the request that does not change from step to step (opaque).

        clean: latents of the clip's frames (inputs, renders, given targets).
        sampler: what :meth:`sampler` made for the request; it gives the step numbers of
        ``denoise`` their meaning, so a model that needs noise levels keeps it in the condition.
        """
        ...

    def sampler(self, num_steps: int) -> OwnSampler:
        """The grid of the given number of steps."""
        ...

    def denoise(
        self, x: Float[Tensor, "R C a b"], step: int, condition: Condition, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Predict the clean latents of the held rows (one branch: guidance is inside)."""
        ...


class GuidedModel(Protocol):
    """What a diffusion model with classifier-free guidance may add: its branches apart.

    Rows of the conditional branch are the last. The engine asks this instead of ``denoise`` where
    ``[plan.guidance]`` lets steps run one branch.
    """

    @property
    def guided(self) -> bool:
        """Whether it runs two branches, as it is configured."""
        ...

    def denoise_guided(
        self,
        x: Float[Tensor, "R C a b"],
        step: int,
        condition: Any,
        ops: Executor,
        difference: Float[Tensor, "R C a b"] | None,
    ) -> tuple[Float[Tensor, "R C a b"], Float[Tensor, "R C a b"]]:
        """Predict as ``denoise`` does, and tell by how much the branches' outputs differ.

        difference: conditional minus unconditional output, of an earlier step, to use as it is: the
        conditional branch runs alone. ``None``: both run.
        """
        ...


@runtime_checkable
class BatchingModel(Protocol):
    """What a diffusion model may add: one run of the network for the rows of several requests."""

    def denoise_many(
        self,
        rows: Sequence[Float[Tensor, "R C a b"]],
        steps: Sequence[int],
        conditions: Sequence[Any],
        executors: Sequence[Executor],
        ops: Executor,
    ) -> list[Float[Tensor, "R C a b"]]:
        """Predict every request's clean rows, as ``denoise`` does up to rounding.

        Lists have one entry a request; ``executors`` pick rows of its condition (``rows``,
        ``maps``). ops: of all rows, one request after the other; it offers ``conv2d``,
        ``group_norm``, ``attention`` without a sight, and ``frame_conv``.
        """
        ...


@runtime_checkable
class FinishingModel(Protocol):
    """What a diffusion model may add: served frames, of refined frames and what is known of them.

    The refined frame, the render and the photos seen from there are estimates of the same frame
    with different errors, and a model may know which to trust where. The engine asks where
    ``composite.finish`` says so, after the guard has judged what the model painted.
    """

    def finish(
        self,
        refined: Float[Tensor, "V 3 H W"],
        evidence: ScoreEvidence,
    ) -> Float[Tensor, "V 3 H W"]:
        """Images in [0, 1] to images in [0, 1], each for itself.

        refined: with carried detail where the pipeline carries it. evidence: the same views', row
        for row; its opacity and its warps may be unknown.
        """
        ...
