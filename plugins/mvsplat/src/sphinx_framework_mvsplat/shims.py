"""The authors' data path: rescale and centre-crop the inputs."""

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sphinx_framework.errors import SceneError


def rescale_and_crop(
    images: Float[Tensor, "v 3 H W"], intrinsics: Float[Tensor, "v 3 3"], size: tuple[int, int]
) -> tuple[Float[Tensor, "v 3 h w"], Float[Tensor, "v 3 3"]]:
    """Shrink images in [0, 1] until they just cover ``size`` (height, width), then cut the centre.

    The filter is Pillow's Lanczos on 8-bit images. intrinsics: normalised by the image size, of
    the input and of the result.

    Raises:
        SceneError: the images are smaller than ``size``.
    """
    height, width = images.shape[-2:]
    if height < size[0] or width < size[1]:
        raise SceneError(
            f"the inputs are {width}x{height} (width x height), smaller than the encode size "
            f"{size[1]}x{size[0]}, and the 'crop' rule cannot enlarge.",
            hint="Use larger photos, a smaller encode_size, or size_rule='resize'.",
        )
    factor = max(size[0] / height, size[1] / width)
    covering = round(height * factor), round(width * factor)
    shrunk = torch.stack([_lanczos(image, covering) for image in images])
    return _centre_crop(shrunk, intrinsics, size)


def crop_to_multiple(
    images: Float[Tensor, "*b 3 H W"], intrinsics: Float[Tensor, "*b 3 3"], multiple: int
) -> tuple[Float[Tensor, "*b 3 h w"], Float[Tensor, "*b 3 3"]]:
    """Cut the centre whose sides are the largest multiples of ``multiple``.

    Raises:
        SceneError: odd sides (the centre would move by half a pixel), or images too small.
    """
    height, width = images.shape[-2:]
    if height % 2 or width % 2:
        raise SceneError(
            f"the inputs are {width}x{height} (width x height); the 'crop' rule needs even sides.",
            hint="Use size_rule='resize', or even image sizes.",
        )
    size = height // multiple * multiple, width // multiple * multiple
    if min(size) == 0:
        raise SceneError(
            f"the inputs are {width}x{height} (width x height), but both sides must be at least "
            f"{multiple}.",
            hint="Use larger photos.",
        )
    return _centre_crop(images, intrinsics, size)


def _centre_crop(
    images: Float[Tensor, "*b 3 H W"], intrinsics: Float[Tensor, "*b 3 3"], size: tuple[int, int]
) -> tuple[Float[Tensor, "*b 3 h w"], Float[Tensor, "*b 3 3"]]:
    """Cut the centre; focal lengths grow relative to the smaller image."""
    height, width = images.shape[-2:]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    cut = images[..., top : top + size[0], left : left + size[1]]
    fitted = intrinsics.clone()
    fitted[..., 0, 0] *= width / size[1]
    fitted[..., 1, 1] *= height / size[0]
    return cut, fitted


def _lanczos(image: Float[Tensor, "3 H W"], size: tuple[int, int]) -> Float[Tensor, "3 h w"]:
    bytes_ = (image * 255).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    resized = Image.fromarray(bytes_).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    array = np.asarray(resized, dtype=np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1).to(image.device)
