import numpy as np
import pytest
import torch

from sphinx_framework.errors import SceneError
from sphinx_framework_lite.config import ProceduralConfig
from sphinx_framework_lite.scenes.generate import SPLITS, make_scene, posed_world
from sphinx_framework_lite.scenes.reader import ProceduralReader
from sphinx_framework_lite.scenes.textures import PYRAMID_TEXELS, texture


@pytest.fixture(scope="module")
def reader():
    return ProceduralReader(ProceduralConfig(height=32, width=32), torch.device("cpu"))


def test_same_seed_gives_the_same_bytes():
    first, second = make_scene(5, size=(32, 48)), make_scene(5, size=(32, 48))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.target_images, second.target_images)
    assert torch.equal(first.targets.world_from_camera, second.targets.world_from_camera)
    assert (first.near, first.far) == (second.near, second.far)


@pytest.mark.parametrize("split", sorted(SPLITS))
def test_scenes_of_every_split_are_valid(split):
    scene = make_scene(1, split=split, size=(32, 32), targets=3)
    scene.validate()
    assert scene.order == (0.0, 4.0, 1.0, 2.0, 3.0)
    assert scene.target_images.shape == (3, 3, 32, 32)


def test_splits_share_no_textures():
    assert not np.array_equal(texture(1, 3, "surface"), texture(2, 3, "surface"))
    assert texture(1, 3, "surface").shape == (PYRAMID_TEXELS, 3)


@pytest.mark.parametrize("size", [(48, 48), (32, 64)])
def test_depth_reprojects_exactly(size):
    posed = posed_world(2, size=size, frames=3, baseline=0.15)
    depth = posed.world.depth(posed.poses, posed.intrinsics, size).astype(np.float64)
    assert (depth > posed.near).all()
    assert (depth < posed.far).mean() > 0.99
    rows, columns = np.mgrid[: size[0], : size[1]]
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(size)]).reshape(3, -1)
    local = np.linalg.inv(posed.intrinsics[0]) @ pixels * depth[0].reshape(-1)
    world = posed.poses[0, :3, :3] @ local + posed.poses[0, :3, 3:]
    # A camera at each surface point's own pixel of the other view must see the same distance.
    other = np.linalg.inv(posed.poses[1])
    seen = other[:3, :3] @ world + other[:3, 3:]
    image = posed.intrinsics[1] @ (seen / seen[2])
    checked, agreed = 0, 0
    for point in range(0, image.shape[1], 17):
        x, y = image[:2, point]
        if not (1 < x < size[1] - 1 and 1 < y < size[0] - 1):
            continue
        shifted = posed.intrinsics[1:2].copy()
        shifted[0, 0, 2] += 0.5 - x
        shifted[0, 1, 2] += 0.5 - y
        exact = float(posed.world.depth(posed.poses[1:2], shifted, (1, 1))[0, 0, 0])
        assert exact < seen[2, point] * (1 + 1e-3), "something visible lies behind a surface"
        checked += 1
        agreed += abs(exact - seen[2, point]) < 1e-3 * seen[2, point]
    assert checked > 40
    assert agreed / checked > 0.8


def test_a_wider_baseline_moves_the_inputs_apart():
    near, far = (make_scene(4, size=(32, 32), baseline=b) for b in (0.1, 0.4))
    apart = [float((s.inputs.centres[1] - s.inputs.centres[0]).norm()) for s in (near, far)]
    assert apart[1] > 2 * apart[0]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("procedural:demo", "procedural:demo/14"),
        ("procedural:7", "procedural:demo/7"),
        ("procedural:report/12", "procedural:report/12"),
    ],
)
def test_reader_understands_split_and_seed(reader, path, name):
    assert reader.can_read(path)
    assert reader.read(path).name == name


@pytest.mark.parametrize("path", ["procedural:nowhere/1", "procedural:-3", "procedural:report/x"])
def test_reader_refuses_unknown_scenes(reader, path):
    with pytest.raises(SceneError):
        reader.read(path)


def test_reader_refuses_unknown_options(reader):
    with pytest.raises(SceneError, match="colour"):
        reader.read("procedural:demo", colour=3)


def test_reader_leaves_other_paths_alone(reader):
    assert not reader.can_read("folder/transforms.json")
