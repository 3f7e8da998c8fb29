"""Poses as rows of numbers: what target files need of linear algebra, without torch."""

from typing import Self

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.json_fields import Fields
from sphinx_framework.scenes.poses import PoseConvention

BOTTOM_ROW = [0.0, 0.0, 0.0, 1.0]
POSE_SHAPES = ((4, 4), (3, 4))
_ROUNDING = 1e-6


class Affine:
    """The first three rows of a 4x4 matrix whose last row is 0 0 0 1."""

    def __init__(self, rows: list[list[float]]) -> None:
        """rows: three of four numbers."""
        self.rows = rows

    @classmethod
    def identity(cls) -> Self:
        """Moves nothing."""
        return cls([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])

    @classmethod
    def read(cls, fields: Fields, key: str) -> Self:
        """A 3x4 or 4x4 matrix of a file; raises :class:`SceneError` for another last row."""
        rows = fields.rows(key, POSE_SHAPES)
        last = rows[3] if len(rows) == 4 else BOTTOM_ROW
        if any(abs(a - b) > _ROUNDING for a, b in zip(last, BOTTOM_ROW, strict=True)):
            raise SceneError(f"{fields.where}: the last row of the pose must be 0 0 0 1.")
        return cls(rows[:3])

    @property
    def determinant(self) -> float:
        """Of the 3x4 matrix's first three columns."""
        (a, b, c, _), (d, e, f, _), (g, h, i, _) = self.rows
        return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)

    def __matmul__(self, other: "Affine") -> "Affine":
        """First ``other``, then this one."""
        below = [*other.rows, BOTTOM_ROW]
        return Affine(
            [[sum(row[k] * below[k][j] for k in range(4)) for j in range(4)] for row in self.rows]
        )

    def scaled(self, factor: float) -> "Affine":
        """All three rows times a factor."""
        return Affine([[factor * entry for entry in row] for row in self.rows])

    def moved(self, factor: float) -> "Affine":
        """The translation alone times a factor."""
        return Affine([[*row[:3], factor * row[3]] for row in self.rows])

    def inverse(self) -> "Affine":
        """What undoes it; the determinant must not be 0."""
        (a, b, c, _), (d, e, f, _), (g, h, i, _) = self.rows
        over = 1 / self.determinant
        turned = [
            [(e * i - f * h) * over, (c * h - b * i) * over, (b * f - c * e) * over],
            [(f * g - d * i) * over, (a * i - c * g) * over, (c * d - a * f) * over],
            [(d * h - e * g) * over, (b * g - a * h) * over, (a * e - b * d) * over],
        ]
        return self._with_centre(turned)

    def transposed(self) -> "Affine":
        """The inverse of a rigid pose by its structure, as the scene readers invert it."""
        return self._with_centre([[row[j] for row in self.rows] for j in range(3)])

    def rigid(self) -> "Affine":
        """A camera's axes without the scale of a similarity; its centre keeps it."""
        scale = abs(self.determinant) ** (1 / 3)
        if scale == 0 or abs(scale - 1) <= 1e-9:
            return self
        return Affine([[*(entry / scale for entry in row[:3]), row[3]] for row in self.rows])

    def _with_centre(self, turned: list[list[float]]) -> "Affine":
        centre = [row[3] for row in self.rows]
        return Affine(
            [[*row, -sum(a * b for a, b in zip(row, centre, strict=True))] for row in turned]
        )


def world_from_camera(pose: Affine, convention: PoseConvention) -> Affine:
    """A pose of the named convention in OpenCV axes, camera to world.

    Its own inverse but for ``opengl_w2c``: it also writes such a pose as the convention has it.
    """
    if convention == "opengl_w2c":
        return Affine([pose.rows[0], *([-e for e in row] for row in pose.rows[1:])]).transposed()
    if convention == "opengl_c2w":
        return _flipped(pose)
    return pose if convention == "opencv_c2w" else pose.transposed()


def _flipped(pose: Affine) -> Affine:
    """OpenGL cameras look along -z with y up: their y and z columns change sign."""
    return Affine([[a, -b, -c, centre] for a, b, c, centre in pose.rows])
