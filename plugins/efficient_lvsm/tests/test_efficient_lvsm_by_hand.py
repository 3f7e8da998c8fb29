"""Cameras, both streams and the image against the specification written out in plain loops.

Nothing is shared with the plugin but the names of the weights: float64, one view, one head, one
patch at a time.
"""

import pytest
import torch
from torch import Tensor

from sphinx_framework.geometry.rotations import matrices_from_quaternions
from sphinx_framework.types import Cameras
from sphinx_framework_efficient_lvsm.config import NetworkConfig
from sphinx_framework_efficient_lvsm.network import EfficientLVSMNetwork
from sphinx_framework_efficient_lvsm.rays import frame_of, pluecker, posed


def normalised(c2w: Tensor) -> Tensor:
    """Section 2, pose normalisation."""
    centre = sum(pose[:3, 3] for pose in c2w) / len(c2w)
    forward = sum(pose[:3, 2] for pose in c2w) / len(c2w)
    forward = forward / forward.norm()
    down = sum(pose[:3, 1] for pose in c2w) / len(c2w)
    right = torch.linalg.cross(down, forward)
    right = right / right.norm()
    down = torch.linalg.cross(forward, right)
    down = down / down.norm()
    frame = torch.eye(4, dtype=torch.float64)
    for column, axis in enumerate((right, down, forward, centre)):
        frame[:3, column] = axis
    moved = torch.stack([torch.linalg.inv(frame) @ pose for pose in c2w])
    moved[:, :3, 3] /= 1.35 * moved[:, :3, 3].abs().max()
    return moved


def ray(pose: Tensor, k: Tensor, row: int, column: int) -> Tensor:
    """Section 2: moment and direction of a pixel."""
    x, y = (column + 0.5 - k[0, 2]) / k[0, 0], (row + 0.5 - k[1, 2]) / k[1, 1]
    direction = pose[:3, :3] @ torch.stack((x, y, torch.ones_like(x)))
    direction = direction / direction.norm()
    return torch.cat((torch.linalg.cross(pose[:3, 3], direction), direction))


def patches(maps: Tensor, side: int) -> Tensor:
    """Section 3: row-major patches, inside one row, column, channel."""
    _, height, width = maps.shape
    found = []
    for top in range(0, height, side):
        for left in range(0, width, side):
            inside = [maps[:, top + r, left + c] for r in range(side) for c in range(side)]
            found.append(torch.cat(inside))
    return torch.stack(found)


def layer_norm(x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2


class ByHand:
    """Section 3, on the weights ``w``."""

    def __init__(self, w: dict[str, Tensor], config: NetworkConfig) -> None:
        self.w, self.c = w, config

    def normed(self, head: Tensor, key: str) -> Tensor:
        if not self.c.use_qk_norm:
            return head
        return head / (head.square().mean(-1, keepdim=True) + 1e-5).sqrt() * self.w[key]

    def attention(self, name: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mixed = []
        for first in range(0, self.c.d, self.c.d_head):
            channels = slice(first, first + self.c.d_head)
            query = self.normed(q[:, channels], f"{name}.q_norm.weight")
            key = self.normed(k[:, channels], f"{name}.k_norm.weight")
            weights = torch.exp(query @ key.T / self.c.d_head**0.5)
            mixed.append(weights / weights.sum(1, keepdim=True) @ v[:, channels])
        return torch.cat(mixed, 1) @ self.w[f"{name}.fc.weight"].T

    def self_attention(self, name: str, x: Tensor) -> Tensor:
        q, k, v = (layer_norm(x) @ self.w[f"{name}.to_qkv.weight"].T).chunk(3, 1)
        return self.attention(name, q, k, v)

    def mlp(self, name: str, x: Tensor) -> Tensor:
        inner = gelu(layer_norm(x) @ self.w[f"{name}.mlp.0.weight"].T)
        return inner @ self.w[f"{name}.mlp.2.weight"].T

    def image(self, inputs: list[Tensor], target: Tensor, side: int) -> Tensor:
        views = [patches(i, side) @ self.w["rgbp_tokenizer.1.weight"].T for i in inputs]
        y = patches(target, side) @ self.w["target_pose_tokenizer.1.weight"].T
        for layer in range(self.c.n_layer):
            own, cross = f"input_self_attn_blocks.{layer}", f"self_cross_blocks.{layer}"
            for i, x in enumerate(views):
                attended = x + self.self_attention(f"{own}.attn", x)
                views[i] = attended + self.mlp(f"{own}.mlp", attended)
            y = y + self.self_attention(f"{cross}.self_attn", y)
            seen = layer_norm(torch.cat(views)) @ self.w[f"{cross}.cross_attn.to_kv.weight"].T
            query = layer_norm(y) @ self.w[f"{cross}.cross_attn.to_q.weight"].T
            y = y + self.attention(f"{cross}.cross_attn", query, *seen.chunk(2, 1))
            y = y + self.mlp(f"{cross}.mlp", y)
        vectors = torch.sigmoid(layer_norm(y) @ self.w["image_token_decoder.1.weight"].T)
        _, height, width = target.shape
        image = torch.empty(3, height, width, dtype=torch.float64)
        for number, vector in enumerate(vectors):
            top, left = side * (number // (width // side)), side * (number % (width // side))
            for place, colour in enumerate(vector.split(3)):
                image[:, top + place // side, left + place % side] = colour
        return image


@pytest.mark.parametrize(
    ("sizes", "views", "size"),
    [
        ({"d": 24, "d_head": 8, "n_layer": 2, "patch_size": 4}, (1, 2), (12, 20)),
        ({"d": 40, "d_head": 20, "n_layer": 1, "patch_size": 8}, (4, 1), (32, 16)),
        ({"d": 30, "d_head": 10, "n_layer": 3, "patch_size": 5}, (3, 2), (10, 25)),
        (
            {"d": 16, "d_head": 16, "n_layer": 2, "patch_size": 8, "use_qk_norm": False},
            (2, 3),
            (16, 24),
        ),
    ],
)
def test_images_are_those_of_the_specification(sizes, views, size) -> None:
    seed = sizes["d"]
    generator = torch.Generator().manual_seed(seed)
    config, (inputs, targets) = NetworkConfig(**sizes), views
    total, (height, width) = inputs + targets, size
    poses = torch.eye(4, dtype=torch.float64).repeat(total, 1, 1)
    turns = torch.tensor([1.0, 0, 0, 0]) + 0.2 * torch.randn(total, 4, generator=generator)
    poses[:, :3, :3] = matrices_from_quaternions(turns).double()
    poses[:, :3, 3] = 5 + torch.randn(total, 3, generator=generator).double()
    k = torch.eye(3, dtype=torch.float64).repeat(total, 1, 1)
    k[:, 0, 0] = width * (0.7 + torch.rand(total, generator=generator).double())
    k[:, 1, 1] = width * (0.7 + torch.rand(total, generator=generator).double())
    k[:, 0, 2], k[:, 1, 2] = 0.4 * width, 0.55 * height
    photos = torch.rand(inputs, 3, *size, generator=generator)
    torch.manual_seed(seed)
    network = EfficientLVSMNetwork(config).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        if name.endswith("norm.weight"):
            weight.uniform_(0.5, 1.5)

    by_spec = normalised(poses)
    rays = [
        torch.stack([ray(p, kk, r, c) for r in range(height) for c in range(width)], 1)
        for p, kk in zip(by_spec, k, strict=True)
    ]
    maps = [one.unflatten(1, size) for one in rays]
    weights = {key: value.double() for key, value in network.state_dict().items()}
    hand = ByHand(weights, config)
    given = [
        torch.cat((2 * photo.double() - 1, one))
        for photo, one in zip(photos, maps[:inputs], strict=True)
    ]
    expected = torch.stack([hand.image(given, one, sizes["patch_size"]) for one in maps[inputs:]])

    cameras = Cameras(world_from_camera=poses, intrinsics=k, image_size=size)
    ours = pluecker(frame_of(poses), cameras)
    torch.testing.assert_close(ours, torch.stack(maps).float(), rtol=1e-4, atol=1e-5)
    found = network.render(ours[inputs:], network.encode(posed(photos, ours[:inputs])))
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)
