"""The page's own mathematics against the framework's: paths, conventions, Gaussians as points."""

import base64
import json

import numpy as np
import pytest
import torch
from page_server import cameras_json

from sphinx_framework.scenes.photos import read_photos
from sphinx_framework.scenes.poses import CONVENTIONS
from sphinx_framework.scenes.trajectories import interpolate, orbit, spiral
from sphinx_framework.serve.page import DIGEST
from sphinx_framework.splatting.ply import write_ply
from sphinx_framework.types import Cameras, Gaussians

pytestmark = pytest.mark.browser
CALL = """async ([digest, file, name, given]) => {
  const module = await import(`/static/${digest}/${file}`);
  return JSON.parse(JSON.stringify(module[name](...given)));
}"""


@pytest.fixture(scope="module")
def call(chromium, site):
    page = chromium.new_page()
    page.goto(site.url)
    yield lambda file, name, *given: page.evaluate(CALL, [DIGEST, file, name, list(given)])
    page.close()


def cameras(count, seed, converging):
    """Cameras with some noise, looking at one point or almost parallel."""
    generator = np.random.default_rng(seed)
    poses = []
    for index in range(count):
        centre = np.array([0.7 * index, 0.1 * index**2, 0.0]) + 0.05 * generator.normal(size=3)
        point = np.array([1.0, 0.3, 4.0 if converging else 1e4])
        z = (point - centre) / np.linalg.norm(point - centre)
        x = np.cross([0.1, 1.0, 0.05], z)
        x /= np.linalg.norm(x)
        pose = np.eye(4)
        pose[:3, :4] = np.stack([x, np.cross(z, x), z, centre], axis=1)
        poses.append(pose)
    k = torch.tensor([[50.0, 0, 24], [0, 50, 16], [0, 0, 1]]).repeat(count, 1, 1)
    poses = torch.from_numpy(np.stack(poses)).float()
    return Cameras(world_from_camera=poses, intrinsics=k, image_size=(32, 48))


def scene_of(cameras, near=None, far=None):
    inputs = [{"pose": pose} for pose in cameras.world_from_camera.tolist()]
    return {"inputs": inputs, "targets": [], "near": near, "far": far}


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("converging", [True, False])
def test_the_paths_drawn_are_those_that_the_server_renders(call, count, converging):
    inputs = cameras(count, count, converging)
    near, far = (0.5, 20.0) if count == 3 else (None, None)
    scene = scene_of(inputs, near, far)
    expected = {
        ("interpolate", 7, 0): interpolate(inputs, 7)[0],
        ("orbit", 6, 90): orbit(inputs, 6, degrees=90, near=near, far=far),
        ("spiral", 9, 0): spiral(inputs, 9, near=near, far=far),
    }
    for (kind, number, amount), wanted in expected.items():
        drawn = torch.tensor(call("paths.js", "pathPoses", kind, scene, number, amount, []))
        scale = max(1.0, float(wanted.world_from_camera.abs().max()))
        assert torch.allclose(drawn, wanted.world_from_camera, atol=2e-4 * scale), kind


@pytest.mark.parametrize("kind", ["dolly", "pan", "arc", "lemniscate", "keys"])
def test_the_pages_own_paths_are_rigid_and_close(call, kind):
    inputs = cameras(3, 0, converging=True)
    keys = inputs.world_from_camera.tolist()
    scene = scene_of(inputs)
    drawn = np.array(call("paths.js", "pathPoses", kind, scene, 24, 0.3, keys))
    rotations = drawn[:, :3, :3]
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-6)
    assert np.allclose(np.linalg.det(rotations), 1)
    steps = np.linalg.norm(np.diff(drawn[:, :3, 3], axis=0), axis=1)
    closing = np.linalg.norm(drawn[-1, :3, 3] - drawn[0, :3, 3])
    if kind != "keys":
        assert closing <= 1.5 * steps.max() + 1e-9
    else:
        assert np.allclose(drawn[[0, -1]], inputs.world_from_camera[[0, 2]], atol=1e-5)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_cameras_files_are_shown_as_the_server_reads_them(call, tmp_path, convention):
    content = cameras_json(["a.png", "b.png"]) | {"convention": convention}
    angle = 0.3
    turn = [[np.cos(angle), 0, np.sin(angle), 0.2], [0, 1, 0, 0.5]]
    content["inputs"][1]["pose"] = [*turn, [-np.sin(angle), 0, np.cos(angle), -0.7], [0, 0, 0, 1]]
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"")
    text = json.dumps(content)
    (tmp_path / "cameras.json").write_text(text)
    read = read_photos(tmp_path)
    shown = call("cameras.js", "readCameras", text)
    poses = [camera["pose"] for camera in (*shown["inputs"], *shown["targets"])]
    wanted = torch.stack([shot.world_from_camera for shot in read.shots])
    assert torch.allclose(torch.tensor(poses, dtype=torch.float64), wanted, atol=1e-9)
    assert shown["targets"][0]["intrinsics"]["fx"] == 40


def test_gaussians_are_read_as_points_without_the_faint_ones(chromium, site, tmp_path):
    gaussians = Gaussians(
        means=torch.tensor([[1.0, 2, 3], [4, 5, 6]]),
        covariances=torch.eye(3).repeat(2, 1, 1),
        harmonics=torch.tensor([[0.5], [0.0], [-5.0]]).repeat(2, 1, 1),
        opacities=torch.tensor([0.9, 0.1]),
    )
    write_ply(tmp_path / "scene.ply", gaussians)
    data = base64.b64encode((tmp_path / "scene.ply").read_bytes()).decode()
    page = chromium.new_page()
    page.goto(site.url)
    points = page.evaluate(
        """async ([digest, data]) => {
          const { readPly } = await import(`/static/${digest}/points.js`);
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const { places, colours } = readPly(bytes.buffer);
          return [[...places], [...colours], readPly(new ArrayBuffer(40))];
        }""",
        [DIGEST, data],
    )
    page.close()
    assert points == [[1, 2, 3], [163, 128, 0], None]
