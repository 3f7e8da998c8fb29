"""Classifier-free guidance scales, one per frame."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework_seva.config import Guider

CLOSE_DEGREES = 10.0
CLOSE_DISTANCE = 1e-5


def guided(
    unconditional: Float[Tensor, "R *d"],
    conditional: Float[Tensor, "R *d"],
    scale: Float[Tensor, " R"],
) -> Float[Tensor, "R *d"]:
    """``unconditional + scale * (conditional - unconditional)`` per row."""
    per_row = scale.view(-1, *(1 for _ in conditional.shape[1:]))
    return unconditional + per_row * (conditional - unconditional)


def guidance_scale(
    guider: Guider,
    poses: Float[Tensor, "T 4 4"],
    intrinsics: Float[Tensor, "T 3 3"],
    is_input: Bool[Tensor, " T"],
    cfg: float,
    cfg_min: float,
) -> Float[Tensor, " T"]:
    """Guidance scale of every frame.

    Args:
        guider: ``vanilla``: ``cfg`` everywhere. ``multiview``: ``cfg_min`` for frames whose camera
            practically is an input's. ``multiview_temporal``: also rises with the distance, in
            frames, to the nearest input.
        poses: centred and scaled camera-to-world matrices.
        intrinsics: normalised; a close frame's equal an input's exactly.
        is_input: frames whose content is given.
        cfg: largest scale.
        cfg_min: smallest scale.
    """
    scale = torch.full((len(poses),), float(cfg), device=poses.device)
    if guider == "vanilla" or not bool(is_input.any()):
        return scale
    if guider == "multiview_temporal":
        index = torch.arange(len(poses), device=poses.device)
        distance = (index[:, None] - index[is_input]).abs().amin(dim=1).float()
        scale = distance / distance.max().clamp(min=1) * (cfg - cfg_min) + cfg_min
    close = close_to_inputs(poses, intrinsics, is_input)
    return torch.where(close, torch.full_like(scale, cfg_min), scale)


def close_to_inputs(
    poses: Float[Tensor, "T 4 4"],
    intrinsics: Float[Tensor, "T 3 3"],
    is_input: Bool[Tensor, " T"],
) -> Bool[Tensor, " T"]:
    """Frames that share direction, place and lens with inputs (not necessarily the same one)."""
    rotations = poses[:, :3, :3]
    trace = torch.einsum("tij,nij->tn", rotations, rotations[is_input])
    degrees = ((trace - 1) / 2).clamp(-1, 1).acos().rad2deg()
    centres = poses[:, :3, 3]
    distance = (centres[:, None] - centres[is_input]).norm(dim=-1)
    same_lens = (intrinsics[:, None] == intrinsics[is_input]).all(-1).all(-1).any(1)
    return (degrees.amin(1) < CLOSE_DEGREES) & (distance.amin(1) < CLOSE_DISTANCE) & same_lens
