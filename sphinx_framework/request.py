"""What may be asked of a render, as a value: checked once, before anything is loaded.

The command line, Python and the server all make one of these; what is not asked is the pipeline's.
"""

import math
from contextlib import suppress
from operator import index
from typing import Any, SupportsFloat, TypedDict

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from sphinx_framework.errors import ConfigError, suggestion
from sphinx_framework.options import Options, is_boolean
from sphinx_framework.policy.schedule import MODES, Mode

LARGEST_SEED = 2**32 - 1


class Wishes(TypedDict, total=False):
    """The fields of :class:`RenderRequest` as keyword arguments; what is left out is not asked."""

    quality: float | None
    mode: Mode | None
    seed: int
    budget_ms: float | None
    budget_joules: float | None


class RenderRequest(Options):
    """One request; ``None`` leaves a choice to the pipeline's config."""

    quality: float | None = Field(
        default=None,
        description="share to keep, in (0, 1]: of full diffusion's score or of the best plan's "
        "similarity to the truth, as the rules' objective says",
    )
    mode: Mode | None = Field(default=None, description=f"one of {', '.join(MODES)}")
    seed: int = Field(default=0, description=f"of all noise, in 0..{LARGEST_SEED}")
    budget_ms: float | None = Field(
        default=None, description="predicted milliseconds to stay within; starts move later"
    )
    budget_joules: float | None = Field(
        default=None, description="predicted energy to stay within; starts move later"
    )

    @classmethod
    def asked(cls, **wishes: Any) -> "RenderRequest":
        """Check wishes; raises :class:`ConfigError` naming the first that cannot be granted."""
        try:
            return cls(**wishes)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                known = list(cls.model_fields)
                near = suggestion(key, known)
                raise ConfigError(
                    f"a request has no {key!r}.", hint=f"{near}Known: {', '.join(known)}."
                ) from None
            cause = problem.get("ctx", {}).get("error")
            if isinstance(cause, RefusedWishError):
                raise ConfigError(cause.message, hint=cause.hint) from None
            raise ConfigError(f"{key} {problem['input']!r}: {problem['msg']}.") from None

    @field_validator("quality", "budget_ms", "budget_joules", mode="before")
    @classmethod
    def _number(cls, value: object, info: ValidationInfo) -> float | None:
        """A number, numpy's included; ``True`` is none, and neither is a text of digits."""
        if value is None:
            return None
        if isinstance(value, SupportsFloat) and not is_boolean(value):
            with suppress(TypeError, ValueError, RuntimeError, OverflowError):
                return float(value)
        raise RefusedWishError(f"{info.field_name} must be a number, got {value!r}.", "")

    @field_validator("quality", mode="after")
    @classmethod
    def _share(cls, quality: float | None) -> float | None:
        if quality is not None and not 0 < quality <= 1:
            raise RefusedWishError(
                f"quality must lie in (0, 1], got {quality:g}.",
                "It is the share of the best quality to keep, for example 0.95.",
            )
        return quality

    @field_validator("mode", mode="before")
    @classmethod
    def _known(cls, mode: object) -> object:
        if mode is not None and mode not in MODES:
            raise RefusedWishError(f"mode {mode!r} is unknown.", f"Modes: {', '.join(MODES)}.")
        return mode

    @field_validator("seed", mode="before")
    @classmethod
    def _whole(cls, seed: object) -> object:
        """An int, or what counts as one everywhere else: numpy's."""
        try:
            number = -1 if isinstance(seed, bool) else index(seed)  # type: ignore[arg-type]
        except TypeError:
            number = -1
        if not 0 <= number <= LARGEST_SEED:
            raise RefusedWishError(f"the seed must lie in 0..{LARGEST_SEED}, got {seed}.", "")
        return number

    @field_validator("budget_ms", "budget_joules", mode="after")
    @classmethod
    def _positive(cls, budget: float | None) -> float | None:
        if budget is not None and not 0 < budget < math.inf:
            raise RefusedWishError(f"a budget must be a positive number, got {budget:g}.", "")
        return budget


class RefusedWishError(ValueError):
    """A wish that cannot be granted, in the words of the user."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
