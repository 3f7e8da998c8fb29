"""Full-reference image metrics (PSNR, SSIM, GMS) as maps, so that they can be read in any region.

Images are ``[T, 3, H, W]`` in [0, 1]. Needs the ``study`` extra (scikit-image) for SSIM.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

# Xue et al. 2014 use 170 for 8-bit images; rescaled to [0, 1].
GRADIENT_CONSTANT = 170 / 255**2
SMALLEST_ERROR = 1e-10
SMALLEST_SSIM_SIDE = 11  # pixels; the Gaussian window does not fit into smaller images


def inside(
    values: Float[Tensor, "T H W"], region: Bool[Tensor, "T H W"] | None
) -> Float[Tensor, " T"]:
    """Mean per frame over a region (NaN where a frame has none of it), or over everything."""
    if region is None:
        return values.mean((1, 2))
    weight = region.to(values.dtype)
    return (values * weight).sum((1, 2)) / weight.sum((1, 2))


def psnr(
    images: Float[Tensor, "T 3 H W"],
    truth: Float[Tensor, "T 3 H W"],
    region: Bool[Tensor, "T H W"] | None = None,
) -> Float[Tensor, " T"]:
    """Peak signal-to-noise ratio in dB per frame."""
    error = inside((images - truth).square().mean(1), region)
    return -10 * torch.log10(error.clamp(min=SMALLEST_ERROR))


def ssim(
    images: Float[Tensor, "T 3 H W"],
    truth: Float[Tensor, "T 3 H W"],
    region: Bool[Tensor, "T H W"] | None = None,
) -> Float[Tensor, " T"]:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), by scikit-image."""
    from skimage.metrics import structural_similarity

    maps = []
    for image, reference in zip(images, truth, strict=True):
        _, full = structural_similarity(
            image.permute(1, 2, 0).double().numpy(),
            reference.permute(1, 2, 0).double().numpy(),
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        maps.append(torch.from_numpy(full).mean(-1).float())
    return inside(torch.stack(maps), region)


def gradient_similarity(
    images: Float[Tensor, "T 3 H W"],
    truth: Float[Tensor, "T 3 H W"],
    region: Bool[Tensor, "T H W"] | None = None,
) -> Float[Tensor, " T"]:
    """Mean gradient-magnitude similarity (Xue et al. 2014, Prewitt filters, grey images)."""
    first, second = _gradients(images), _gradients(truth)
    similarity = (2 * first * second + GRADIENT_CONSTANT) / (
        first.square() + second.square() + GRADIENT_CONSTANT
    )
    return inside(similarity, region)


def sharpness(
    images: Float[Tensor, "T 3 H W"], region: Bool[Tensor, "T H W"] | None = None
) -> Float[Tensor, " T"]:
    """Log of the mean squared Laplacian of the grey image in 8-bit units; no reference needed."""
    kernel = images.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    grey = 255 * images.mean(1, keepdim=True)
    laplacian = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="reflect"), kernel)[:, 0]
    return inside(laplacian.square(), region).clamp(min=SMALLEST_ERROR).log()


def _gradients(images: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "T H W"]:
    grey = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = images.new_tensor([[1, 0, -1], [1, 0, -1], [1, 0, -1]]) / 3
    kernels = torch.stack([across, across.T])[:, None]
    return F.conv2d(grey, kernels).square().sum(1).clamp(min=1e-12).sqrt()
