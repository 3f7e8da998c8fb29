"""Errors that name who failed, at which stage and on which frame."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import JobError, SphinxError


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the host, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "not enough memory" in str(error)


@dataclass(frozen=True, slots=True)
class Witness:
    """Knows a component's role, name and plugin, and speaks for it when something is wrong."""

    role: str
    name: str
    distribution: str | None = None

    @property
    def component(self) -> str:
        """``regression 'lite' (sphinx-framework-lite 0.1)``."""
        origin = f" ({self.distribution})" if self.distribution else ""
        return f"{self.role} {self.name!r}{origin}"

    @contextmanager
    def asked(self, stage: str) -> Iterator[None]:
        """Turn what a component raises into a :class:`JobError`; the framework's own pass."""
        try:
            yield
        except SphinxError:
            raise
        except (Exception, SystemExit) as error:  # a component may even call sys.exit
            if not out_of_memory(error):
                raise JobError(
                    f"{self.component} raised {type(error).__name__} in stage {stage!r}: {error}",
                    hint=self._hint(),
                    kind="component-raised",
                    component=self.name,
                    stage=stage,
                ) from error
            # Frames of the traceback hold the tensors that filled the memory.
            traceback.clear_frames(error.__traceback__)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise JobError(
                f"{self.component} ran out of memory in stage {stage!r}.",
                hint="Render fewer or smaller targets, or use a device with more memory.",
                kind="out-of-memory",
                component=self.name,
                stage=stage,
            ) from None

    def refusal(self, stage: str, got: str, expected: str, frame: int | None = None) -> JobError:
        """The error for an answer that breaks the protocol."""
        where = "" if frame is None else f", frame {frame}"
        return JobError(
            f"{self.component} answered with {got} in stage {stage!r}{where}; "
            f"expected: {expected}.",
            hint=self._hint(),
            kind="bad-answer",
            component=self.name,
            stage=stage,
            frame=frame,
        )

    def shaped(self, answer: Any, what: str, stage: str, shape: tuple[Any, ...]) -> None:
        """Raise unless the answer is a tensor of this shape."""
        if not isinstance(answer, Tensor):
            raise self.refusal(stage, f"a {type(answer).__name__} as {what}", "a tensor")
        if tuple(answer.shape) != shape:
            raise self.refusal(stage, f"{what} of shape {tuple(answer.shape)}", _text(shape))

    def tensor(
        self,
        answer: Any,
        what: str,
        stage: str,
        shape: tuple[Any, ...],
        dtype: torch.dtype | None,
        device: torch.device | None,
    ) -> None:
        """Raise unless the answer is as said; ``dtype`` ``None`` means any floating one."""
        self.shaped(answer, what, stage, shape)
        if (not answer.is_floating_point()) if dtype is None else answer.dtype != dtype:
            expected = "floating-point numbers" if dtype is None else str(dtype)
            raise self.refusal(stage, f"{what} of {answer.dtype}", expected)
        if device is not None and answer.device.type != device.type:
            raise self.refusal(stage, f"{what} on {answer.device}", f"on {device}")
        if answer.is_floating_point():
            self.finite(answer, what, stage, lambda row: row)

    def finite(
        self, answer: Tensor, what: str, stage: str, frame_of: Callable[[int], int | None]
    ) -> None:
        """Raise a ``not-finite`` error for the first row with NaN or infinity."""
        if bool(torch.isfinite(answer).all()):
            return
        row = int(
            (~torch.isfinite(answer.flatten(1) if answer.ndim > 1 else answer[:, None]))
            .any(1)
            .nonzero()[0, 0]
        )
        frame = frame_of(row)
        where = f"row {row}" if frame is None else f"frame {frame}"
        raise JobError(
            f"{self.component}: {what} hold NaN or infinity in stage {stage!r}, {where}; "
            "expected finite numbers.",
            hint=self._hint(),
            kind="not-finite",
            component=self.name,
            stage=stage,
            frame=frame,
        )

    def _hint(self) -> str:
        return f"Run: sphinx-nvs check {self.name}."


def _text(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(str(side) for side in shape)})"
