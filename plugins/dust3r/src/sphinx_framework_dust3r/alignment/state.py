"""The variables of the global alignment and what they stand for.

Everything is stored the way the optimiser sees it, so that a learning rate means the same as
upstream: logarithmic depths and scales, signed-logarithmic translations, scaled focal codes.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework_dust3r.geometry.pinhole import rigid
from sphinx_framework_dust3r.geometry.quaternions import (
    quaternion_from_rotation,
    rotation_from_quaternion,
)
from sphinx_framework_dust3r.geometry.similarity import Similarity

FOCAL_CODE = 20.0
PRINCIPAL_POINT_CODE = 10.0
BASE_SCALE = 0.5


class AlignmentState(NamedTuple):
    """Raw variables.

    edges: quaternion (x, y, z, w), translation code, log scale of every pair.
    poses: quaternion, translation code of every image, camera to world.
    focals: ``20 ln f``. depths: ln of camera-z. principal_points: offset from half the image / 10.
    """

    edges: Float[Tensor, "E 8"]
    poses: Float[Tensor, "N 7"]
    focals: Float[Tensor, "N 1"]
    depths: Float[Tensor, "N P"]
    principal_points: Float[Tensor, "N 2"]


def encode_translation(translation: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """``sign(t) log1p(|t|)``."""
    return translation.sign() * translation.abs().log1p()


def decode_translation(code: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """``sign(c) expm1(|c|)``."""
    return code.sign() * code.abs().expm1()


def encode_poses(poses: Float[Tensor, "N 4 4"]) -> Float[Tensor, "N 7"]:
    """Rigid transforms to quaternions and translation codes."""
    quaternion = quaternion_from_rotation(poses[..., :3, :3])
    return torch.cat((quaternion, encode_translation(poses[..., :3, 3])), dim=-1)


def decode_poses(codes: Float[Tensor, "N c"]) -> Float[Tensor, "N 4 4"]:
    """The first seven numbers of each row to rigid transforms."""
    return rigid(rotation_from_quaternion(codes[:, :4]), decode_translation(codes[:, 4:7]))


def encode_focals(focals: Float[Tensor, " N"]) -> Float[Tensor, "N 1"]:
    """Focal lengths in pixels to codes."""
    return FOCAL_CODE * focals.log()[:, None]


def decode_focals(codes: Float[Tensor, "N 1"]) -> Float[Tensor, "N 1"]:
    """Codes to focal lengths in pixels."""
    return (codes / FOCAL_CODE).exp()


def encode_depths(depths: Float[Tensor, "N H W"]) -> Float[Tensor, "N P"]:
    """Camera-z to logarithms; what is not in front of the camera starts at depth 1."""
    return torch.where(depths > 0, depths, 1.0).log().flatten(1)


def encode_edges(pairs: Similarity) -> Float[Tensor, "E 8"]:
    """Similarities from pair frame to world; the stored translation is divided by the scale."""
    scale = pairs.scale[:, None]
    quaternion = quaternion_from_rotation(pairs.rotation)
    translation = encode_translation(pairs.translation / scale)
    return torch.cat((quaternion, translation, scale.log()), dim=-1)


def edge_scales(edges: Float[Tensor, "E 8"], *, pinned: bool) -> Float[Tensor, " E"]:
    """Scales of the pairs; pinned: with 0.5 as their geometric mean."""
    logarithms = edges[:, 7]
    if not pinned:
        return logarithms.exp()
    return logarithms.exp() * (math.log(BASE_SCALE) - logarithms.mean()).exp()


def edge_transforms(edges: Float[Tensor, "E 8"], *, pinned: bool) -> Float[Tensor, "E 4 4"]:
    """Pair frame to world: rotation **and** translation multiplied by the pair's scale."""
    transforms = decode_poses(edges)
    transforms[:, :3] *= edge_scales(edges, pinned=pinned)[:, None, None]
    return transforms
