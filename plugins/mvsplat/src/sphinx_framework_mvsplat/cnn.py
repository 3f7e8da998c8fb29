"""The convolutional feature extractor at a quarter of the resolution."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5


def normalised(x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
    """Instance norm without affine parameters or running statistics."""
    return functional.instance_norm(x, eps=EPSILON)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; both branches are rectified before *and* after the addition."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.downsample = nn.ModuleList()
        if stride != 1 or channels_in != channels_out:
            self.downsample.append(nn.Conv2d(channels_in, channels_out, 1, stride))

    def forward(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D i j"]:
        """Add the branch to the (projected) input."""
        branch = torch.relu(normalised(self.conv1(x)))
        branch = torch.relu(normalised(self.conv2(branch)))
        shortcut = normalised(self.downsample[0](x)) if self.downsample else x
        return torch.relu(shortcut + branch)


class FeatureExtractor(nn.Module):
    """Images, normalised with the ImageNet statistics, to features at a quarter of the size."""

    def __init__(self, widths: tuple[int, int, int], features: int) -> None:
        super().__init__()
        first, second, third = widths
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False)
        self.layer1 = _stage(first, first, 1)
        self.layer2 = _stage(first, second, 2)
        self.layer3 = _stage(second, third, 1)
        self.conv2 = nn.Conv2d(third, features, 1)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C H/4 W/4"]:
        """Extract features; each image on its own."""
        x = torch.relu(normalised(self.conv1(images)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


def _stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(channels_in, channels_out, stride),
        ResidualBlock(channels_out, channels_out, 1),
    )
