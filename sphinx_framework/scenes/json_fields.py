"""Typed access to JSON files: every wrong type or missing key is one clear SceneError.

Without torch until a matrix is asked for as a tensor: the client reads its files with it too.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.texts import read_text

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """One JSON object and the place it stands at, for messages.

    where: such as ``"room/transforms.json, frames[3]"``.
    """

    values: Mapping[str, Any]
    where: str

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def number(self, key: str) -> float:
        """Return a finite number; raise :class:`SceneError` when missing or of another type."""
        return _number(self._get(key), f"{self.where}, {key!r}")

    def number_or_none(self, key: str) -> float | None:
        """Return a finite number, or ``None`` when the key is missing or null."""
        return self.number(key) if key in self else None

    def count_or_none(self, key: str) -> int | None:
        """Return a positive whole number, or ``None`` when the key is missing or null."""
        if key not in self:
            return None
        value = self.number(key)
        if value != int(value) or value < 1:
            raise SceneError(f"{self.where}, {key!r}: must be a whole number >= 1, got {value:g}.")
        return int(value)

    def text(self, key: str) -> str:
        """Return a string; raise :class:`SceneError` when missing or of another type."""
        value = self._get(key)
        if not isinstance(value, str):
            raise _wrong_type(f"{self.where}, {key!r}", "a string", value)
        return value

    def text_or_none(self, key: str) -> str | None:
        """Return a string, or ``None`` when the key is missing or null."""
        return self.text(key) if key in self else None

    def texts(self, key: str) -> list[str]:
        """Return a list of strings."""
        where = f"{self.where}, {key!r}"
        for value in (values := _list(self._get(key), where)):
            if not isinstance(value, str):
                raise _wrong_type(where, "a list of strings", value)
        return values

    def nested(self, key: str) -> Fields:
        """Return a nested object."""
        return as_fields(self._get(key), f"{self.where}, {key!r}")

    def objects(self, key: str) -> list[Fields]:
        """Return a list of objects."""
        values = _list(self._get(key), f"{self.where}, {key!r}")
        return [as_fields(value, f"{self.where}, {key}[{i}]") for i, value in enumerate(values)]

    def indices(self, key: str, below: int) -> tuple[int, ...]:
        """Return a list of whole numbers in ``0..below-1``, each at most once."""
        where = f"{self.where}, {key!r}"
        return check_indices(_list(self._get(key), where), below, where)

    def matrix(self, key: str, shapes: Sequence[tuple[int, int]]) -> Float[Tensor, "rows columns"]:
        """Return a float64 matrix of one of the allowed shapes, all entries finite."""
        import torch

        return torch.tensor(self.rows(key, shapes), dtype=torch.float64)

    def rows(self, key: str, shapes: Sequence[tuple[int, int]]) -> list[list[float]]:
        """Return the rows of such a matrix as numbers."""
        where, given = f"{self.where}, {key!r}", _list(self._get(key), f"{self.where}, {key!r}")
        if given and not isinstance(given[0], list):  # one row after the other
            given = next((_in_rows(given, s) for s in shapes if s[0] * s[1] == len(given)), given)
        allowed = " or ".join(f"{rows}x{columns}" for rows, columns in shapes)
        rows = [_list(row, where) for row in given]
        shape = (len(rows), len(rows[0]) if rows else 0)
        if shape not in shapes or any(len(row) != shape[1] for row in rows):
            raise SceneError(f"{where}: must be a {allowed} matrix (a list of rows).")
        return [[_number(entry, where) for entry in row] for row in rows]

    def _get(self, key: str) -> Any:
        if key not in self:
            raise SceneError(
                f"{self.where}: the key {key!r} is missing.",
                hint=f"Keys found: {', '.join(map(repr, self.values)) or 'none'}.",
            )
        return self.values[key]


def stated_size(fields: Fields, height: str, width: str) -> tuple[int, int] | None:
    """The image size an object states under two keys: both or neither."""
    size = fields.count_or_none(height), fields.count_or_none(width)
    if size[0] is None or size[1] is None:
        if size != (None, None):
            raise SceneError(f"{fields.where}: give both {width!r} and {height!r}, or neither.")
        return None
    return size[0], size[1]


def read_json_object(path: Path) -> Fields:
    """Read a JSON file whose top level is an object.

    Raises:
        SceneError: the file is missing, unreadable, not JSON, or not an object.
    """
    try:
        values = json.loads(read_text(path, "utf-8-sig"), object_pairs_hook=_once)
    except FileNotFoundError as cause:
        raise SceneError(f"{path}: no such file.") from cause
    except OSError as cause:
        raise SceneError(f"{path}: cannot be read ({cause.strerror or cause}).") from cause
    except _TwiceError as cause:
        raise SceneError(
            f"{path}: names {shown(cause.key)!r} twice in one object.", hint="Keep one of them."
        ) from None
    except RecursionError as cause:
        raise SceneError(f"{path}: is not valid JSON (nested too deeply).") from cause
    except ValueError as cause:
        raise SceneError(f"{path}: is not valid JSON ({cause}).") from cause
    return as_fields(values, str(path))


class _TwiceError(Exception):
    """A key stands twice in one object, where readers differ in which one counts."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError(
            next(key for key, count in Counter(k for k, _ in pairs).items() if count > 1)
        )
    return found


def as_fields(value: Any, where: str) -> Fields:
    """Wrap a JSON value that must be an object."""
    if not isinstance(value, dict):
        raise _wrong_type(where, "an object {...}", value)
    return Fields(values=value, where=where)


def check_indices(values: Sequence[Any], below: int, where: str) -> tuple[int, ...]:
    """Return ``values`` as indices, or raise :class:`SceneError` naming the first wrong one."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(where, "a list of whole numbers", value)
        if not 0 <= value < below:
            raise SceneError(f"{where}: frame {value} does not exist; there are 0 to {below - 1}.")
    if len(set(values)) != len(values):
        raise SceneError(f"{where}: names a frame twice.")
    return tuple(values)


def _in_rows(values: list[Any], shape: tuple[int, int]) -> list[list[Any]]:
    return [values[start : start + shape[1]] for start in range(0, len(values), shape[1])]


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(where, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SceneError(f"{where}: holds NaN or infinity; it must be a finite number.")
    return number


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(where, "a list", value)
    return value


def _wrong_type(where: str, expected: str, value: Any) -> SceneError:
    shown = repr(value)
    return SceneError(
        f"{where}: must be {expected}, got {shown if len(shown) <= 40 else shown[:37] + '...'}."
    )
