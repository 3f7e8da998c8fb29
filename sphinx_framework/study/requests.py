"""What a study may be asked, as values: checked once, before a scene or a model is loaded."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import ValidationError, ValidationInfo, field_validator, model_validator

from sphinx_framework.errors import ConfigError
from sphinx_framework.options import Options
from sphinx_framework.policy.schedule import METHOD_MODES, MODES, Mode
from sphinx_framework.request import RefusedWishError, RenderRequest
from sphinx_framework.types import Objective

EVERY = "every"
MOST_FEW_STEPS = 1000


class Asked(Options):
    """What every study is asked. Lists may be texts, ``0.98,0.95``.

    qualities: in (0, 1], each once, the largest first. repeats: renders, each with its own noise.
    """

    qualities: tuple[float, ...]
    seed: int = 0
    repeats: int = 1

    @classmethod
    def asked(cls, wishes: Mapping[str, Any], num_steps: int = 0) -> Self:
        """Check wishes; those that are no fields are of another kind and left out.

        num_steps: of the pipeline, where a wish is a step of its grid.
        Raises :class:`ConfigError` naming the first that cannot be granted, as an option.
        """
        given = {name: wishes[name] for name in cls.model_fields if name in wishes}
        try:
            return cls.model_validate(given, context={"num_steps": num_steps})
        except ValidationError as error:
            problem = error.errors()[0]
            name = str((problem["loc"] or ("",))[0])
            cause = problem.get("ctx", {}).get("error")
            why, hint = problem["msg"], ""
            if isinstance(cause, RefusedWishError):
                why, hint = cause.message, cause.hint
            wish = given.get(name)
            shown = f"{wish:g}" if isinstance(wish, float) else wish
            option = f"--{name.replace('_', '-')} {shown}: " if name else ""
            raise ConfigError(f"{option}{why}", hint=hint) from None

    @field_validator("qualities", mode="before")
    @classmethod
    def _shares(cls, asked: Any) -> tuple[float, ...]:
        return _numbers(asked, 0.0, 1.0)

    @field_validator("seed", mode="before")
    @classmethod
    def _a_seed(cls, seed: Any) -> int:
        return RenderRequest.asked(seed=seed).seed

    @field_validator("repeats")
    @classmethod
    def _some(cls, count: int) -> int:
        return _positive(count)


class StudyRequest(Asked):
    """What ``evaluate`` and ``sweep`` are asked.

    few_steps: of plain diffusion, to compare with. modes: without the baselines, which always run.
    """

    few_steps: tuple[int, ...] = ()
    modes: tuple[Mode, ...] = METHOD_MODES

    @field_validator("few_steps", mode="before")
    @classmethod
    def _whole(cls, asked: Any) -> tuple[int, ...]:
        return _few_steps(asked)

    @field_validator("modes", mode="before")
    @classmethod
    def _methods(cls, asked: Any) -> tuple[str, ...]:
        names = [name.strip() for name in _parts(asked)]
        for name in names:
            if name not in MODES:
                raise RefusedWishError(f"{name!r} is unknown.", f"Modes: {', '.join(MODES)}.")
        return tuple(dict.fromkeys(n for n in names if n not in ("diffusion", "regression")))


class CalibrateRequest(Asked):
    """What ``calibrate`` is asked: what is measured, and how rules are fitted to it.

    spacing, starts, steps, few_steps, mode: see ``Sampling``; no spacing is the usual one.
    clusters: none for as many as separate.
    bins, min_samples, confidence, scenes_met, objective: see ``Fit``. policy: one to train.
    """

    mode: str = "coarse"
    spacing: int | None = None
    starts: tuple[int, ...] | None = None
    steps: tuple[int | None, ...] = (None,)
    few_steps: tuple[int, ...] = ()
    clusters: int | None = None
    min_scenes: int = 8
    bins: int = 6
    min_samples: int = 20
    confidence: float = 0.9
    scenes_met: float = 0.9
    objective: Objective | None = None
    policy: str | None = None

    @property
    def method(self) -> Mode:
        """The mode, as one of the method's."""
        return next(mode for mode in METHOD_MODES if mode == self.mode)

    @field_validator("mode")
    @classmethod
    def _a_method(cls, mode: str) -> str:
        if mode not in METHOD_MODES:
            raise RefusedWishError(f"unknown. Modes: {', '.join(METHOD_MODES)}.", "")
        return mode

    @field_validator("spacing")
    @classmethod
    def _within(cls, spacing: int | None, info: ValidationInfo) -> int | None:
        most = _num_steps(info)
        if spacing is not None and not 1 <= spacing <= most:
            raise RefusedWishError(f"must lie in 1..{most}.", "")
        return spacing

    @field_validator("starts", mode="before")
    @classmethod
    def _on_the_grid(cls, asked: Any, info: ValidationInfo) -> tuple[int, ...] | None:
        if asked is None:
            return None
        most = _num_steps(info)
        found = [int(word) if word.strip().isdigit() else -1 for word in _parts(asked)]
        if not all(0 <= start < most for start in found):
            raise RefusedWishError(f"expected steps in 0..{most - 1}, as 0,20,40.", "")
        return tuple(sorted(set(found)))

    @field_validator("steps", mode="before")
    @classmethod
    def _walks(cls, asked: Any) -> tuple[int | None, ...]:
        """Numbers of solver steps; ``None`` for ``every``."""
        words = list(dict.fromkeys(word.strip() for word in _parts(asked)))
        if not all(word == EVERY or (word.isdigit() and int(word) > 0) for word in words):
            raise RefusedWishError(f"expected numbers of steps or {EVERY!r}, as 1,2,{EVERY}.", "")
        return tuple(None if word == EVERY else int(word) for word in words)

    @field_validator("few_steps", mode="before")
    @classmethod
    def _plain(cls, asked: Any) -> tuple[int, ...]:
        return _few_steps(asked) if asked else ()

    @field_validator("bins", "min_samples", "min_scenes", "clusters")
    @classmethod
    def _at_least_one(cls, count: int | None) -> int | None:
        return None if count is None else _positive(count)

    @field_validator("confidence")
    @classmethod
    def _a_bound(cls, share: float) -> float:
        if not 0.5 <= share < 1:
            raise RefusedWishError("must lie in [0.5, 1).", "")
        return share

    @field_validator("scenes_met")
    @classmethod
    def _a_share(cls, share: float) -> float:
        if not 0 <= share <= 1:
            raise RefusedWishError("must lie in [0, 1].", "")
        return share

    @model_validator(mode="after")
    def _learns_scores(self) -> Self:
        # A policy learns what a start keeps of the score; the rules beside it are fitted to it too.
        if self.policy is not None and self.objective == "truth":
            raise RefusedWishError(
                "--objective truth: a step policy is trained on scores.",
                "Leave --objective out, or give paper.",
            )
        return self


def _num_steps(info: ValidationInfo) -> int:
    return int((info.context or {}).get("num_steps", 0))


def _parts(asked: Any) -> Sequence[str]:
    """Entries of a comma-separated text, or of a list."""
    return asked.split(",") if isinstance(asked, str) else [str(part) for part in asked]


def _positive(count: int) -> int:
    if count < 1:
        raise RefusedWishError("must be at least 1.", "")
    return count


def _few_steps(asked: Any) -> tuple[int, ...]:
    steps = _numbers(asked, 1, MOST_FEW_STEPS)
    if any(step != int(step) for step in steps):
        raise RefusedWishError("expected whole numbers.", "")
    return tuple(int(step) for step in steps)


def _numbers(asked: Any, lowest: float, highest: float) -> tuple[float, ...]:
    """Numbers above 0 and in ``lowest..highest``, each once, the largest first."""
    try:
        values = sorted({float(part) for part in _parts(asked)}, reverse=True)
    except ValueError:
        raise RefusedWishError("expected numbers such as 0.98,0.95.", "") from None
    for value in values:
        if not (math.isfinite(value) and value > 0 and lowest <= value <= highest):
            opening = "[" if lowest else "("
            raise RefusedWishError(f"{value:g} is not in {opening}{lowest:g}, {highest:g}].", "")
    return tuple(values)
