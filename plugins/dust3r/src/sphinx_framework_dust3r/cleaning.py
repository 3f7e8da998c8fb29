"""Which points of a reconstruction are worth drawing."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sphinx_framework_dust3r.geometry.pinhole import inverse_pose, project, transform
from sphinx_framework_dust3r.reconstruction import Reconstruction

TOLERANCE = 0.001
# Rows at the top and bottom that do not count for the depth range (ViewCrafter).
BORDER_ROWS = 40


def cleaned_confidence(
    reconstruction: Reconstruction, tolerance: float = TOLERANCE
) -> Float[Tensor, "N H W"]:
    """Confidence, 0 where a point stands before a more confident surface of another image.

    Every point of image i is projected into every image j; where it lands in front of j's depth on
    a pixel of higher confidence, it is in the way. Images are visited in order, with the
    confidences that earlier visits left.
    """
    height, width = reconstruction.image_size
    confidence = reconstruction.confidence.clone()
    world_to_cameras = inverse_pose(reconstruction.poses)
    count = len(confidence)
    for i in range(count):
        for j in (other for other in range(count) if other != i):
            local = transform(world_to_cameras[j], reconstruction.points[i])
            seen = project(local, reconstruction.focals[j], reconstruction.principal_points[j])
            nearest = (seen - reconstruction.pixel_centre).nan_to_num(-1.0).round()
            u, v = nearest.clamp(-1, max(height, width)).long().unbind(-1)
            inside = (local[..., 2] > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
            u, v = u.clamp(0, width - 1), v.clamp(0, height - 1)
            before = local[..., 2] < (1 - tolerance) * reconstruction.depth[j][v, u]
            weaker = confidence[i] < confidence[j][v, u]
            confidence[i] = torch.where(
                inside & before & weaker, confidence[i].clamp(max=0), confidence[i]
            )
    return confidence


def confident_or_distant(
    reconstruction: Reconstruction,
    confidence: Float[Tensor, "N H W"],
    *,
    keep_above: float,
    background: float,
) -> Bool[Tensor, "N H W"]:
    """Points above a confidence, and those of the background.

    background: deeper than this share of the sum of the image's largest and smallest depth,
    borders left out.
    """
    inner = reconstruction.depth
    if reconstruction.image_size[0] > 2 * BORDER_ROWS:
        inner = inner[:, BORDER_ROWS:-BORDER_ROWS]
    span = inner.amax((1, 2)) + inner.amin((1, 2))
    distant = reconstruction.depth > background * span[:, None, None]
    return (confidence > keep_above) | distant
