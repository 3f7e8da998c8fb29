"""Read and write 3-D Gaussians as the binary ``.ply`` files of common splat viewers.

One ``vertex`` element with float properties ``x y z``, ``nx ny nz`` (zero), ``f_dc_0..2``,
``f_rest_0..`` (channel after channel, standard harmonics without the first), ``opacity`` (logit),
``scale_0..2`` (logarithms of standard deviations) and ``rot_0..3`` (quaternion w, x, y, z).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import SceneError
from sphinx_framework.geometry.rotations import matrices_from_quaternions, quaternions_from_matrices
from sphinx_framework.splatting.harmonics import MAX_COEFFICIENTS
from sphinx_framework.types import Gaussians

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER_LINE = 100_000
_MAX_HEADER_LINES = 1000
# Opacities of exactly 0 or 1 have no finite logit; these bounds are off by less than float32 shows.
_FAINTEST, _DENSEST = 1e-9, 1 - 1e-7
_SMALLEST_SCALE = 1e-12
_HERE = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianColumns:
    """Gaussians as splat files store them, float32 on the CPU.

    log_scales: of standard deviations. logits: of opacities. rotations: quaternions (w, x, y, z).
    """

    means: Float[Tensor, "G 3"]
    harmonics: Float[Tensor, "G 3 d"]
    logits: Float[Tensor, " G"]
    log_scales: Float[Tensor, "G 3"]
    rotations: Float[Tensor, "G 4"]


def gaussian_columns(gaussians: Gaussians) -> GaussianColumns:
    """Convert Gaussians; harmonics above degree 3 are dropped.

    Scales and rotations are taken from the Gaussians, or from their covariances' eigenvectors.
    """
    opacities = gaussians.opacities.detach().cpu().double().clamp(_FAINTEST, _DENSEST)
    scales, rotations = _axes(gaussians)
    return GaussianColumns(
        means=gaussians.means.detach().cpu().float(),
        harmonics=gaussians.harmonics.detach().cpu()[..., :MAX_COEFFICIENTS].float(),
        logits=torch.logit(opacities).float(),
        log_scales=scales.clamp(min=_SMALLEST_SCALE).log().float(),
        rotations=rotations.float(),
    )


def write_ply(
    path: Path, gaussians: Gaussians, *, origin: tuple[float, float, float] = _HERE
) -> None:
    """Write Gaussians; harmonics above degree 3 are dropped.

    origin: added to the means. Where it is not zero, ``x y z`` are doubles, which hold both a far
    origin and what is small.
    """
    split = gaussian_columns(gaussians)
    means, harmonics = split.means, split.harmonics
    columns = torch.cat(
        [
            torch.zeros_like(means),
            harmonics[..., 0],
            harmonics[..., 1:].flatten(1),
            split.logits[:, None],
            split.log_scales,
            split.rotations,
        ],
        dim=1,
    )
    names = [*"xyz", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3))]
    names += [f"f_rest_{i}" for i in range(3 * (harmonics.shape[-1] - 1))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(means)}"]
    exact = "<f8" if origin != _HERE else "<f4"
    layout = [(name, exact if name in "xyz" else "<f4") for name in names]
    kinds = {"<f4": "float", "<f8": "double"}
    header += [f"property {kinds[kind]} {name}" for name, kind in layout] + ["end_header\n"]
    rows = np.empty(len(means), np.dtype(layout))
    places = means.double() + means.double().new_tensor(origin)
    for index, name in enumerate(names):
        rows[name] = places[:, index] if index < 3 else columns[:, index - 3]
    with path.open("wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(rows.tobytes())


def read_ply(path: Path, *, origin: tuple[float, float, float] = _HERE) -> Gaussians:
    """Read Gaussians; further properties and elements are ignored.

    origin: subtracted from the means before they become single precision.

    Raises:
        SceneError: the file is missing, no binary ply, cut short, or not of Gaussians.
    """
    try:
        with path.open("rb") as file:
            vertices = _read_vertices(file, path)
    except OSError as cause:
        raise SceneError(f"{path}: cannot be read ({cause.strerror or cause}).") from cause
    rest = sum(name.startswith("f_rest_") for name in vertices.dtype.names or ())
    if rest % 3 or 1 + rest // 3 not in (1, 4, 9, 16, 25):
        raise SceneError(f"{path}: {rest} 'f_rest_' properties fit no harmonic degree.")
    scales = _columns(vertices, [f"scale_{i}" for i in range(3)], path).exp()
    quaternions = _columns(vertices, [f"rot_{i}" for i in range(4)], path)
    first = _columns(vertices, [f"f_dc_{i}" for i in range(3)], path)[..., None]
    others = _columns(vertices, [f"f_rest_{i}" for i in range(rest)], path)
    spread = matrices_from_quaternions(quaternions) * scales[:, None]
    return Gaussians(
        means=_means(vertices, path, origin),
        covariances=spread @ spread.transpose(1, 2),
        harmonics=torch.cat([first, others.reshape(len(first), 3, rest // 3)], dim=2),
        opacities=torch.sigmoid(_columns(vertices, ["opacity"], path)[:, 0]),
        scales=scales,
        rotations=torch.nn.functional.normalize(quaternions, dim=1),
    )


def _axes(gaussians: Gaussians) -> tuple[Float[Tensor, "G 3"], Float[Tensor, "G 4"]]:
    """Standard deviations along the principal axes, and the axes as quaternions."""
    if gaussians.scales is not None and gaussians.rotations is not None:
        return gaussians.scales.detach().cpu(), gaussians.rotations.detach().cpu()
    variances, axes = torch.linalg.eigh(gaussians.covariances.detach().cpu().double())
    # Eigenvectors may be a mirrored frame, which no quaternion describes.
    axes[:, :, 0] *= torch.linalg.det(axes).sign()[:, None]
    return variances.clamp(min=0).sqrt(), quaternions_from_matrices(axes)


def _read_vertices(file: BinaryIO, path: Path) -> np.ndarray:
    """Read the ``vertex`` element as a structured array."""
    lines = _read_header(file, path)
    order = _BYTE_ORDERS.get(lines[0][1] if len(lines[0]) > 1 else "")
    if lines[0][0] != "format" or order is None:
        raise SceneError(f"{path}: only binary ply files can be read.")
    elements: list[tuple[str, int, list[tuple[str, str]]]] = []
    for words in lines[1:]:
        if words[0] == "element" and len(words) == 3 and words[2].isdigit():
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and elements and len(words) == 3 and words[1] in _TYPES:
            elements[-1][2].append((words[2], order + _TYPES[words[1]]))
        elif words[0] == "property" and any(name == "vertex" for name, _, _ in elements[:-1]):
            break  # Lists of a later element are of no concern.
        elif words[0] not in ("comment", "obj_info"):
            raise SceneError(f"{path}: the ply header line {' '.join(words)!r} is not understood.")
    for name, count, fields in elements:
        if len({field for field, _ in fields}) != len(fields):
            raise SceneError(f"{path}: the ply header names a property twice.")
        layout = np.dtype(fields)
        if not fields or count * layout.itemsize > path.stat().st_size:
            raise SceneError(f"{path}: its element {name!r} does not fit its ply header.")
        data = file.read(count * layout.itemsize)
        if len(data) < count * layout.itemsize:
            raise SceneError(f"{path}: the file is cut short within its element {name!r}.")
        if name == "vertex":
            return np.frombuffer(data, layout)
    raise SceneError(f"{path}: holds no 'vertex' element.")


def _read_header(file: BinaryIO, path: Path) -> list[list[str]]:
    """The words of every header line after the magic word."""
    if file.readline(16).strip() != b"ply":
        raise SceneError(f"{path}: is no ply file.")
    lines: list[list[str]] = []
    for _ in range(_MAX_HEADER_LINES):
        words = file.readline(_LONGEST_HEADER_LINE).decode("ascii", errors="replace").split()
        if words == ["end_header"] and lines:
            return lines
        if words:
            lines.append(words)
    raise SceneError(f"{path}: its ply header has no end.")


def _means(
    vertices: np.ndarray, path: Path, origin: tuple[float, float, float]
) -> Float[Tensor, "G 3"]:
    means = _columns(vertices, ["x", "y", "z"], path)
    if origin == _HERE:
        return means
    far = np.stack([vertices[name].astype(np.float64) for name in "xyz"], axis=1)
    return torch.from_numpy(far - np.array(origin)).float()


def _columns(vertices: np.ndarray, names: list[str], path: Path) -> Float[Tensor, "G n"]:
    """The named properties as float32 columns, all finite."""
    missing = [name for name in names if name not in (vertices.dtype.names or ())]
    if missing:
        raise SceneError(
            f"{path}: the property {missing[0]!r} is missing.",
            hint="Only ply files of 3-D Gaussians can be read, not point clouds or meshes.",
        )
    stacked = [vertices[name].astype(np.float32) for name in names]
    columns = np.stack(stacked, axis=1) if names else np.empty((len(vertices), 0), np.float32)
    if not np.isfinite(columns).all():
        raise SceneError(f"{path}: {names[0]!r} holds NaN or infinity.")
    return torch.from_numpy(columns)
