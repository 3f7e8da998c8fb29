"""The protocols a component satisfies, structurally: nothing here needs to be inherited.

A component is built by the registry as ``Factory(config, device)``. Every protocol has a contract
suite in :mod:`sphinx_framework.testing`, which ``sphinx-nvs check NAME`` runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from sphinx_framework.types import (
    Cameras,
    ClipLayout,
    CoarseViews,
    QualityReport,
    RefineMask,
    Scene,
    StartSteps,
)

Reach = Literal["frame", "frames", "clip"]
Condition = TypeVar("Condition")


class RegressionModel(Protocol):
    """Stage 1: renders every target in one feed-forward pass."""

    def predict(self, scene: Scene) -> CoarseViews:
        """Render all targets; images in [0, 1], opacity where the model knows it."""
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


class MaskPolicy(Protocol):
    """Decides where a coarse view needs refinement (paper section 5.3)."""

    def mask(self, coarse: CoarseViews, scene: Scene, cluster: int | None) -> RefineMask:
        """Return True at the pixels to refine."""
        ...


class StepPolicy(Protocol):
    """Turns quality ratios into start steps (the paper's k-logic, section 5.1)."""

    def start_steps(
        self, report: QualityReport, scene: Scene, target: float, num_steps: int
    ) -> StartSteps:
        """Return a start step in ``0..num_steps`` per target; never decreasing in the ratio."""
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

    def estimate_poses(self, images: Float[Tensor, "N 3 H W"]) -> EstimatedCameras:
        """Estimate one camera per photo; images in [0, 1]."""
        ...


class SceneReader(Protocol):
    """Reads one scene format and converts its conventions to ours."""

    def can_read(self, path: Path) -> bool:
        """Cheap test whether the path looks like this format."""
        ...

    def read(self, path: Path, **options: Any) -> Scene:
        """Read the scene at its own size; :func:`sphinx_framework.load_scene` fits it."""
        ...


class Executor(Protocol):
    """The only way a network may look beyond the rows it was handed.

    A *row* is a frame, or in block-sparse steps a tile of a frame; the leading axis of every
    activation is ``R`` rows, guidance branches outermost. A network never writes a literal frame
    count, height or width: what is pointwise is plain torch, what looks at other pixels or frames
    is one of these calls. ``site`` is the call's unique name in the network (see
    :func:`sphinx_framework.nn.bind_sites`).
    """

    def rows(self, per_frame: Float[Tensor, "gT *d"]) -> Float[Tensor, "R *d"]:
        """Pick the held rows of a tensor with one entry per frame (times branches)."""
        ...

    def maps(self, per_frame: Float[Tensor, "gT C h w"]) -> Float[Tensor, "R C a b"]:
        """Pick the held rows, cut to the held tiles, of one map per frame (times branches)."""
        ...

    def conv2d(
        self, site: str, conv: nn.Conv2d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D i j"]:
        """Convolve within each frame (same padding; stride 1 or 2)."""
        ...

    def group_norm(
        self, site: str, norm: nn.GroupNorm, x: Float[Tensor, "R C a b"], reach: Reach = "frame"
    ) -> Float[Tensor, "R C a b"]:
        """Normalise with the statistics of the whole frame, or of the whole clip."""
        ...

    def attention(
        self,
        site: str,
        query: Float[Tensor, "R n D"],
        key: Float[Tensor, "R n D"],
        value: Float[Tensor, "R n E"],
        heads: int,
        reach: Reach,
    ) -> Float[Tensor, "R n E"]:
        """Self-attention, scale ``1/sqrt(D/heads)``, on already projected tokens.

        ``"frame"``: over the tokens of the same frame. ``"frames"``: over the T frames at the same
        cell. ``"clip"``: over all tokens of all frames. Tokens are row-major cells of a row.
        """
        ...

    def frame_conv(
        self, site: str, conv: nn.Conv3d, x: Float[Tensor, "R C a b"]
    ) -> Float[Tensor, "R D a b"]:
        """Convolve along the frame axis, kernel (k, 1, 1), zero padding beyond the clip."""
        ...

    def across_frames(self, site: str, x: Float[Tensor, "R *d"]) -> Float[Tensor, "R T *d"]:
        """Give every row the values of all T frames at its place: any other frame mixer."""
        ...

    def constant(self, site: str, make: Callable[[], Tensor]) -> Tensor:
        """Compute once per request what depends on neither step nor rows, then reuse it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverStep:
    """One move along the noise schedule, for a group of frames with a common past.

    step, next_step: entry and exit, ``0 <= step < next_step <= num_steps``.
    previous: ``(step, denoised)`` of the same rows one move earlier, or ``None`` at their start.
    draw: returns standard normal noise of ``x``'s shape, the same for the same seed, step, frame.
    """

    step: int
    next_step: int
    previous: tuple[int, Tensor] | None
    draw: Callable[[], Tensor]


class NoiseSchedule(Protocol):
    """Hides sigma space (SEVA, lite) and alpha space (ViewCrafter) from the engine."""

    @property
    def num_steps(self) -> int:
        """Number of denoising steps of the full grid; step 0 is the noisiest."""
        ...

    def noised(
        self, clean: Float[Tensor, "R *d"], noise: Float[Tensor, "R *d"], step: int
    ) -> Float[Tensor, "R *d"]:
        """State at the entry of ``step``; ``noised(., ., num_steps)`` is the clean state."""
        ...

    def advance(
        self, x: Float[Tensor, "R *d"], denoised: Float[Tensor, "R *d"], move: SolverStep
    ) -> Float[Tensor, "R *d"]:
        """Move the state from ``move.step`` to ``move.next_step``."""
        ...


class DiffusionModel(Protocol[Condition]):
    """Stage 2: a multi-view latent diffusion model written against :class:`Executor`.

    guidance_branches: rows per frame that ``denoise`` runs internally (2 under CFG, else 1).
    latent_factor: pixels per latent cell along each axis.
    tile: cells along a tile's side at full latent resolution in block-sparse steps; the network's
        coarsest level must still see at least one cell of it.
    """

    guidance_branches: int
    latent_factor: int
    tile: int

    def layouts(self, scene: Scene) -> tuple[ClipLayout, ...]:
        """Split the targets into clips that fit one pass, in the order they must run."""
        ...

    def encode(self, images: Float[Tensor, "V 3 H W"]) -> Float[Tensor, "V C h w"]:
        """Images in [0, 1] to latents (deterministic)."""
        ...

    def decode(self, latents: Float[Tensor, "V C h w"]) -> Float[Tensor, "V 3 H W"]:
        """Latents to images in [0, 1]."""
        ...

    def condition(
        self,
        scene: Scene,
        coarse: CoarseViews,
        layout: ClipLayout,
        clean: Float[Tensor, "T C h w"],
        schedule: NoiseSchedule,
    ) -> Condition:
        """Everything of the request that does not change from step to step (opaque).

        clean: latents of the clip's frames (inputs, renders, given targets).
        schedule: what :meth:`noise_schedule` made for the request; it gives the step numbers of
        ``denoise`` their meaning, so a model that needs noise levels keeps it in the condition.
        """
        ...

    def noise_schedule(self, num_steps: int) -> NoiseSchedule:
        """The grid of the given number of steps."""
        ...

    def denoise(
        self, x: Float[Tensor, "R C a b"], step: int, condition: Condition, ops: Executor
    ) -> Float[Tensor, "R C a b"]:
        """Predict the clean latents of the held rows (one branch: guidance is inside)."""
        ...
