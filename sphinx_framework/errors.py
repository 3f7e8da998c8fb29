"""Every error the framework raises on purpose, drawn as a tree.

::

    SphinxError                     base; carries `hint`, the sentence that says what to do
    ├── InputError                  the user's input is wrong: the CLI exits with 2
    │   ├── SceneError              a scene folder, photo, camera or pose
    │   ├── ConfigError             a pipeline file, an option, a command-line value
    │   ├── UnknownComponentError   no plugin offers a component of that name
    │   ├── BrokenPluginError       a plugin was found but cannot be used
    │   ├── CapabilityError         the model cannot do what was asked for, strictly
    │   ├── LicenceError            the licence policy refuses a component
    │   ├── WeightsError            a checkpoint is missing or does not fit the network
    │   └── MemoryBudgetError       the latent cache would not fit into its budget
    └── JobError                    the job itself failed: the CLI exits with 1
        └── StaleCacheError         a partial step reads what no full step recorded

A message says what is wrong and where; the hint says what to do about it.
"""

import difflib
import traceback
from collections.abc import Iterable

_LONGEST_SHOWN = 300


class SphinxError(Exception):
    """Base of all errors raised on purpose."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = encodable(message)
        self.hint = encodable(hint)
        super().__init__(f"{self.message} {self.hint}".strip())

    def advise(self, more: str) -> None:
        """Add a sentence to the hint."""
        self.hint = f"{self.hint} {encodable(more)}".strip()
        self.args = (f"{self.message} {self.hint}".strip(),)

    def told_by(self, whose: str) -> None:
        """Say who raised it, where the message does not: a component's own may even be empty."""
        said = self.message or f"it raised a {type(self).__name__} that says nothing."
        self.message = f"{encodable(whose)}: {said}"
        self.args = (f"{self.message} {self.hint}".strip(),)


class InputError(SphinxError):
    """The user's input is wrong; nothing was computed."""


class SceneError(InputError):
    """A scene folder, photo, camera or pose cannot be used."""


class ConfigError(InputError):
    """A pipeline file, an option or a command-line value is wrong."""


class UnknownComponentError(InputError):
    """No installed plugin offers a component of that kind and name."""


class BrokenPluginError(InputError):
    """A plugin was discovered but failed to load, or its component failed to build."""


class CapabilityError(InputError):
    """The model cannot do what was asked for and `strict` forbids doing less."""


class LicenceError(InputError):
    """The licence policy refuses one of the pipeline's components."""


class WeightsError(InputError):
    """A checkpoint is missing, unreadable or does not fit the network."""


class MemoryBudgetError(InputError):
    """The latent cache of this request would not fit into its memory budget."""


class JobError(SphinxError):
    """The job failed although its input was fine.

    kind: for programs: ``failed``, ``not-finite``, ``out-of-memory``, ``bad-answer`` or
    ``component-raised``. component, stage, frame: where it happened, as far as that is known.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        kind: str = "failed",
        component: str | None = None,
        stage: str | None = None,
        frame: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.component = component
        self.stage = stage
        self.frame = frame


class StaleCacheError(JobError):
    """A partial step reads a cache slot that no full step of the request recorded."""


def shown(text: object) -> str:
    """A path or a user's text for a message: printable in every encoding, of bounded length."""
    told = printable(str(text))
    return told if len(told) <= _LONGEST_SHOWN else f"{told[:_LONGEST_SHOWN]}..."


def printable(text: str) -> str:
    """The text with what a terminal would obey, and what no encoding holds, escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in encodable(text))


def encodable(text: str) -> str:
    """The text with lone surrogates escaped, which file names and JSON may hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def said(error: BaseException) -> str:
    """What an exception of somebody else's code says, in one line; nothing said: where it was."""
    try:
        text = " ".join(str(error).split())
    except Exception as second:  # even saying it may fail
        text = f"(it cannot be said: {type(second).__name__})"
    if text:
        return encodable(text)
    calls = traceback.extract_tb(error.__traceback__)
    return encodable(f"at {calls[-1].filename}:{calls[-1].lineno}") if calls else "(no text)"


def raised(error: BaseException) -> str:
    """``ValueError: no such size``, in one line."""
    return f"{type(error).__name__}: {said(error)}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'? "`` for a near miss, else an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.55)
    return f"Did you mean {near[0]!r}? " if near else ""
