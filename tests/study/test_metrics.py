"""Every metric against an implementation that shares no code with it."""

import numpy as np
import pytest
import torch
from scipy import ndimage, signal
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sphinx_framework.metrics import gradient_similarity, psnr, sharpness, ssim

SIZES = [(24, 24), (17, 40)]


@pytest.fixture(params=SIZES, ids=str)
def pair(request):
    generator = torch.Generator().manual_seed(sum(request.param))
    truth = torch.rand(3, 3, *request.param, generator=generator)
    noise = 0.1 * torch.randn(truth.shape, generator=generator)
    return (truth + noise).clamp(0, 1), truth


def channels_last(image):
    return image.permute(1, 2, 0).double().numpy()


def test_psnr_is_that_of_scikit_image(pair):
    images, truth = pair
    expected = [
        peak_signal_noise_ratio(channels_last(b), channels_last(a), data_range=1.0)
        for a, b in zip(images, truth, strict=True)
    ]
    np.testing.assert_allclose(psnr(images, truth), expected, rtol=1e-4)


def ssim_by_hand(image, truth):
    """Wang et al. 2004 with a Gaussian window of 11 pixels, by plain convolutions."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    maps = []
    for x, y in zip(image.double().numpy(), truth.double().numpy(), strict=True):

        def mean(values):
            return signal.convolve2d(values, window, mode="valid")

        mx, my = mean(x), mean(y)
        vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        c1, c2 = 0.01**2, 0.03**2
        maps.append((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.stack(maps)


def test_ssim_is_wangs_formula_away_from_the_borders(pair):
    images, truth = pair
    inner = torch.zeros(images.shape[0], *images.shape[2:], dtype=torch.bool)
    inner[:, 5:-5, 5:-5] = True
    expected = [ssim_by_hand(a, b).mean() for a, b in zip(images, truth, strict=True)]
    np.testing.assert_allclose(ssim(images, truth, inner), expected, rtol=1e-4)


def test_ssim_is_that_of_scikit_image(pair):
    images, truth = pair
    expected = [
        structural_similarity(
            channels_last(a),
            channels_last(b),
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            use_sample_covariance=False,
            full=True,
        )[1].mean()
        for a, b in zip(images, truth, strict=True)
    ]
    np.testing.assert_allclose(ssim(images, truth), expected, rtol=1e-5)


def test_gradient_similarity_is_xues_formula_with_prewitt_filters(pair):
    images, truth = pair

    def magnitude(image):
        grey = image.double().mean(0).numpy()
        return (
            np.hypot(
                ndimage.prewitt(grey, 0, mode="nearest"), ndimage.prewitt(grey, 1, mode="nearest")
            )
            / 3
        )

    expected = []
    for image, reference in zip(images, truth, strict=True):
        a, b = magnitude(image), magnitude(reference)
        c = 170 / 255**2
        expected.append(((2 * a * b + c) / (a**2 + b**2 + c)).mean())
    np.testing.assert_allclose(gradient_similarity(images, truth), expected, rtol=1e-4)


def test_sharpness_is_the_log_mean_squared_laplacian(pair):
    images, _ = pair
    expected = [
        np.log((ndimage.laplace(255 * i.double().mean(0).numpy(), mode="mirror") ** 2).mean())
        for i in images
    ]
    np.testing.assert_allclose(sharpness(images), expected, rtol=1e-4)


@pytest.mark.parametrize(("metric", "best"), [(ssim, 1.0), (gradient_similarity, 1.0)])
def test_an_image_is_most_similar_to_itself(pair, metric, best):
    images, truth = pair
    assert metric(truth, truth) == pytest.approx([best] * 3, abs=1e-5)
    assert (metric(images, truth) < best - 1e-3).all()


def test_blur_lowers_sharpness(pair):
    images, _ = pair
    blurred = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    assert (sharpness(blurred) < sharpness(images)).all()


@pytest.mark.parametrize("metric", [psnr, ssim, gradient_similarity])
def test_a_region_counts_only_its_own_pixels(pair, metric):
    images, truth = pair
    left = torch.zeros(images.shape[0], *images.shape[2:], dtype=torch.bool)
    left[:, :, : images.shape[3] // 2] = True
    changed = images.clone()
    changed[..., images.shape[3] // 2 + 8 :] = 0
    torch.testing.assert_close(metric(changed, truth, left), metric(images, truth, left))


def test_an_empty_region_has_no_value(pair):
    images, truth = pair
    nothing = torch.zeros(images.shape[0], *images.shape[2:], dtype=torch.bool)
    assert psnr(images, truth, nothing).isnan().all()
