"""Errors that name who failed, at which stage and on which frame."""

import math
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.errors import InputError, JobError, MemoryBudgetError, SphinxError, said
from sphinx_framework.witness.company import AT_WORK
from sphinx_framework.witness.handed import seen
from sphinx_framework.witness.settings import Settings

# How torch's allocator of host memory says it, by its builds; the error has no class of its own.
_HOST_IS_FULL = ("not enough memory", "can't allocate memory")
ROUNDING = 1e-3  # of colours and opacity around [0, 1]: what half precision leaves


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the host, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _HOST_IS_FULL)


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
    def asked(self, stage: str, **handed: Any) -> Iterator[None]:
        """Turn what a component raises into a :class:`JobError`; the framework's own pass.

        handed: tensors that the component is handed, by the words of a message. One that was
        written into is an error too (:mod:`.handed`): it would change what others compute.
        """
        given = {words: t for words, t in handed.items() if isinstance(t, Tensor)}
        before = {words: seen(tensor) for words, tensor in given.items()}
        changed = ""
        with self.named(stage), AT_WORK.inside() as stay:
            settings = Settings.now()
            try:
                yield
            finally:  # for everybody, so it is put back whatever happened
                changed = settings.restored(of_thread_only=stay.accompanied)
        if changed:
            raise self.refusal(stage, changed, "settings of the process left alone")
        for words, tensor in given.items():
            if seen(tensor) != before[words]:
                what = words.replace("_", " ")
                raise self.refusal(
                    stage, f"values written into the {what}", "what is handed over left as it is"
                )

    @contextmanager
    def named(self, stage: str) -> Iterator[None]:
        """Turn what is raised into a :class:`JobError` with the component's name, and no more."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except SphinxError as error:
            # The framework's own errors about a pass, as of its cache, are not a component's.
            theirs = isinstance(error, InputError) and not isinstance(error, MemoryBudgetError)
            if not error.message or (theirs and repr(self.name) not in error.message):
                error.told_by(self.component)
            raise
        except BaseException as error:  # a component may even call sys.exit
            if not out_of_memory(error):
                raise self._raised(stage, error) from error
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

    def _raised(self, stage: str, error: BaseException) -> JobError:
        return JobError(
            f"{self.component} raised {type(error).__name__} in stage {stage!r}: {said(error)}",
            hint=self.hint,
            kind="component-raised",
            component=self.name,
            stage=stage,
        )

    def refusal(self, stage: str, got: str, expected: str, frame: int | None = None) -> JobError:
        """The error for an answer that breaks the protocol."""
        where = "" if frame is None else f", frame {frame}"
        return JobError(
            f"{self.component} answered with {got} in stage {stage!r}{where}; "
            f"expected: {expected}.",
            hint=self.hint,
            kind="bad-answer",
            component=self.name,
            stage=stage,
            frame=frame,
        )

    def shaped(self, answer: Any, what: str, stage: str, shape: tuple[Any, ...]) -> None:
        """Raise unless the answer is a tensor of this shape."""
        if not isinstance(answer, Tensor):
            raise self.refusal(stage, f"{kind_of(answer)} as {what}", "a tensor")
        if answer.layout != torch.strided or answer.is_nested:
            kind = "nested rows" if answer.is_nested else str(answer.layout)
            raise self.refusal(stage, f"{what} of {kind}", "a dense tensor")
        if tuple(answer.shape) != shape:
            raise self.refusal(stage, f"{what} of shape {tuple(answer.shape)}", _text(shape))

    def placed(
        self,
        answer: Any,
        what: str,
        stage: str,
        shape: tuple[Any, ...],
        dtype: torch.dtype | None,
        device: torch.device | None,
    ) -> None:
        """Raise unless shape, type and device are as said; ``dtype`` ``None``: any floating one."""
        self.shaped(answer, what, stage, shape)
        if (not answer.is_floating_point()) if dtype is None else answer.dtype != dtype:
            expected = "floating-point numbers" if dtype is None else str(dtype)
            raise self.refusal(stage, f"{what} of {answer.dtype}", expected)
        if device is not None and answer.device != device:
            raise self.refusal(stage, f"{what} on {answer.device}", f"on {device}")
        if answer.is_meta:
            raise self.refusal(stage, f"{what} on meta", "a device that holds numbers")

    def tensor(
        self,
        answer: Any,
        what: str,
        stage: str,
        shape: tuple[Any, ...],
        dtype: torch.dtype | None,
        device: torch.device | None,
    ) -> None:
        """As :meth:`placed`, and finite; rows are frames."""
        self.placed(answer, what, stage, shape, dtype, device)
        if answer.is_floating_point():
            self.finite(answer, what, stage, lambda row: row)

    def in_range(
        self, values: Tensor, what: str, stage: str, most: float | None, frames: bool = True
    ) -> None:
        """Raise unless all values are finite and in ``0..most``, with one wait for the device.

        most: ``None`` is no limit. frames: whether rows are frames, for the message.
        """
        if not values.numel():
            return
        low, high = torch.stack(torch.aminmax(values.detach())).tolist()
        if not (math.isfinite(low) and math.isfinite(high)):  # a NaN anywhere makes both NaN
            self.finite(values, what, stage, lambda row: row if frames else None)
        limit = math.inf if most is None else most + ROUNDING
        if low < -ROUNDING or high > limit:
            outside = (values < -ROUNDING) | (values > limit)
            rows = outside.flatten(1).any(1) if outside.ndim > 1 else outside
            frame = int(rows.nonzero()[0, 0]) if frames else None
            expected = "numbers >= 0" if most is None else f"[0, {most:g}]"
            raise self.refusal(stage, f"{what} in [{low:.3g}, {high:.3g}]", expected, frame)

    def finite(
        self, answer: Tensor, what: str, stage: str, frame_of: Callable[[int], int | None]
    ) -> None:
        """Raise a ``not-finite`` error for the first row with NaN or infinity."""
        # A sum with NaN or infinity in it is not finite, and takes a fifth of the look at each.
        if answer.is_floating_point() and math.isfinite(float(answer.detach().sum())):
            return
        if bool(torch.isfinite(answer).all()):  # the sum alone may be too large
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
            hint=self.hint,
            kind="not-finite",
            component=self.name,
            stage=stage,
            frame=frame,
        )

    @property
    def hint(self) -> str:
        """The command that looks closer."""
        return f"Run: sphinx-nvs check {self.name} --kind {self.role}."


def kind_of(answer: Any) -> str:
    """``a NoneType``, for messages."""
    return f"a {type(answer).__name__}"


def _text(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(str(side) for side in shape)})"
