"""What a host may hand over: numpy, lists, bytes, float64, 3x4 poses, one lens for all."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sphinx_framework.errors import SceneError
from sphinx_framework.testing.fakes import fake_scene
from sphinx_framework.types import Cameras, Scene

SCENE = fake_scene()
POSES = SCENE.inputs.world_from_camera
LENSES = SCENE.inputs.intrinsics
SIZE = SCENE.inputs.image_size


def cameras(**changes):
    given = {"world_from_camera": POSES, "intrinsics": LENSES, "image_size": SIZE, **changes}
    return Cameras(**given)


@pytest.mark.parametrize(
    "images", [SCENE.images.to_sparse(), [image.to_sparse() for image in SCENE.images]]
)
def test_sparse_images_are_refused_in_a_sentence(images):
    with pytest.raises(SceneError, match="images must be dense, got a tensor of layout sparse_coo"):
        replace(SCENE, images=images)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_order_of_no_numbers_is_refused(value):
    count = len(SCENE.inputs) + len(SCENE.targets)
    with pytest.raises(SceneError, match="order must hold finite numbers"):
        replace(SCENE, order=[value] * count)


def test_images_with_a_gradient_are_taken_without_a_warning():
    images = SCENE.images.clone().requires_grad_()
    replace(SCENE, images=images).validate()  # warnings are errors here


@pytest.mark.parametrize(
    "changes",
    [
        {"world_from_camera": POSES.numpy()},
        {"world_from_camera": POSES.double().numpy()},
        {"world_from_camera": POSES.double()},
        {"world_from_camera": POSES.tolist()},
        {"world_from_camera": list(POSES)},
        {"world_from_camera": [pose.numpy() for pose in POSES]},
        {"world_from_camera": POSES[:, :3]},
        {"world_from_camera": POSES[:, :3].double().numpy()},
        {"intrinsics": LENSES[0]},
        {"intrinsics": LENSES[:1].numpy()},
        {"intrinsics": LENSES[0].tolist()},
        {"image_size": list(SIZE)},
        {"image_size": np.array(SIZE)},
    ],
)
def test_cameras_in_any_form_are_the_same_cameras(changes):
    made, meant = replace(SCENE, inputs=cameras(**changes)).inputs, SCENE.inputs
    assert torch.equal(made.world_from_camera, meant.world_from_camera)
    assert torch.equal(made.intrinsics, meant.intrinsics)
    assert made.image_size == meant.image_size
    assert all(type(side) is int for side in made.image_size)
    made.validate("camera")


BYTES = (SCENE.images * 255).round().to(torch.uint8)


@pytest.mark.parametrize(
    "images",
    [
        BYTES,
        BYTES.numpy(),
        BYTES.permute(0, 2, 3, 1).numpy(),
        BYTES.permute(0, 2, 3, 1).contiguous().numpy()[:, ::-1][:, ::-1],
        [image.permute(1, 2, 0).numpy() for image in BYTES],
        list(BYTES),
        BYTES.double() / 255,
        (BYTES.double() / 255).numpy(),
        (BYTES.float() / 255).tolist(),
    ],
)
def test_images_in_any_form_are_the_same_images(images):
    made = replace(SCENE, images=images)
    assert made.images.dtype == torch.float32
    torch.testing.assert_close(made.images, BYTES.float() / 255, atol=1e-6, rtol=0)
    made.validate()


def test_photos_whose_channels_lie_last_in_memory_lie_like_all_others():
    last = BYTES.float().div(255).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    made = replace(SCENE, images=last)
    assert made.images.stride() == BYTES.contiguous().stride()
    assert torch.equal(made.images, last)


def test_one_photo_and_one_pose_are_a_scene():
    one = cameras(world_from_camera=POSES[0, :3].numpy(), intrinsics=LENSES[0])
    made = Scene(images=BYTES[0], inputs=one, targets=one, order=np.array([0, 1]), warnings=["a"])
    made.validate()
    assert (made.order, made.warnings) == ((0.0, 1.0), ("a",))


def test_what_is_as_it_should_be_is_not_copied():
    assert cameras().world_from_camera is POSES
    assert replace(SCENE).images is SCENE.images


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"world_from_camera": POSES[:, :2]}, r"or \[V, 3, 4\], got \(2, 2, 4\)"),
        ({"world_from_camera": "poses"}, "a numpy array or a list of them, got str"),
        ({"world_from_camera": None}, "got NoneType"),
        ({"world_from_camera": []}, "got list"),
        ({"world_from_camera": [[1, 2], [3]]}, "make no tensor of numbers"),
        ({"world_from_camera": np.array(["a"])}, "make no tensor of numbers"),
        ({"world_from_camera": POSES.to(torch.complex64)}, "complex64: give real numbers"),
        ({"intrinsics": LENSES.repeat(2, 1, 1)}, "4 intrinsics for 2 poses"),
        ({"intrinsics": torch.ones(2, 4)}, r"intrinsics must be \[V, 3, 3\]"),
        ({"image_size": 32}, "image_size must be"),
        ({"image_size": (32.5, 32)}, "image_size must be"),
        ({"image_size": (0, 32)}, "image_size must be"),
        ({"image_size": ("a", "b")}, "image_size must be"),
    ],
)  # fmt: skip
def test_cameras_that_cannot_be_meant_are_refused_in_one_sentence(changes, told):
    with pytest.raises(SceneError, match=told):
        cameras(**changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": BYTES.to(torch.int32)}, "images are int32: give uint8"),
        ({"images": BYTES > 3}, "images are bool"),
        ({"images": torch.rand(2, 4, 32, 32)}, r"images must be \[N, 3, H, W\] or"),
        ({"images": [BYTES[0], BYTES[1, :, :5]]}, "make no tensor of numbers"),
        ({"images": BYTES.float()}, "Divide bytes by 255"),
        ({"images": None}, "images must be a tensor"),
        ({"inputs": POSES}, "inputs must be Cameras, got Tensor"),
        ({"near": 1.0, "far": None}, "give both near and far"),
        ({"near": 3.0, "far": 1.0}, "0 < near < far"),
        ({"near": 1.0, "far": float("inf")}, "0 < near < far"),
        ({"target_images": torch.rand(1, 3, 32, 32)}, r"target_images are \(1, 3, 32, 32\) for 4"),
        ({"target_images": torch.full((4, 3, 32, 32), torch.nan)}, "the target_images hold NaN"),
        ({"order": (0.0, 1.0)}, "the order has 2 positions for 6"),
    ],
)
def test_scenes_that_cannot_be_meant_are_refused_in_one_sentence(changes, told):
    with pytest.raises(SceneError, match=told):
        replace(SCENE, **changes).validate()
