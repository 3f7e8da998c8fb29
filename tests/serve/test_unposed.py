"""Photos without cameras: what is known before an estimator has run, and what the worker makes."""

import io
from types import SimpleNamespace

import pytest
from local_server import LocalServer
from PIL import Image

from sphinx_framework.plugin import ComponentSpec
from sphinx_framework.registry import Registry
from sphinx_framework.serve.workbench import Workbench
from sphinx_framework.testing.fakes import FakeConfig, fake_cameras
from sphinx_framework.testing.pipeline import fake_config, fake_engine

POSES = {"pipeline": {**fake_config().model_dump(mode="json")["pipeline"], "poses": {"use": "own"}}}


class Estimator:
    """Cameras on a track, whatever the photos show."""

    def __init__(self, config, device):
        pass

    def estimate_poses(self, images, *, hints=None):
        cameras = fake_cameras(len(images), tuple(images.shape[-2:]))
        return SimpleNamespace(cameras=cameras, near=1.0, far=9.0, warnings=())


SPEC = ComponentSpec(
    kind="poses",
    name="own",
    factory=f"{__name__}:Estimator",
    config=f"{FakeConfig.__module__}:FakeConfig",
    summary="for tests",
)


def photo(width=40, height=32, orientation=None, shade=90):
    out, exif = io.BytesIO(), Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", (width, height), (shade, 80, 70)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def upload(local, request, *photos):
    files = [("photos", (f"{i}.jpg", data)) for i, data in enumerate(photos)]
    return local.call("POST", "/v1/jobs", files=files, data={"request": request})


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    config = fake_config(**POSES)
    made = LocalServer(tmp_path_factory.mktemp("unposed"), specs=[SPEC], config=config)
    yield made
    made.close()


def test_what_can_be_known_of_photos_alone_is_known_before_the_answer(local):
    answer = upload(local, '{"targets": "orbit:7"}', photo(), photo(shade=10))
    assert answer.status_code == 202, answer.text
    scene = answer.json()["scene"]
    assert (scene["inputs"], scene["targets"]) == (2, 7)
    assert (scene["height"], scene["width"]) == (32, 40)
    assert local.call("GET", "/v1/models").json()["data"][0]["unposed"] is True


@pytest.mark.parametrize(
    ("request_text", "pointer"),
    [
        ("{}", "/targets"),
        ('{"targets": "split"}', "/targets"),
        ('{"targets": "indices:0,1"}', "/targets"),
        ('{"targets": "orbit:3", "split": "2"}', "/split"),
        (
            '{"target_cameras": {"convention": "opencv_c2w", "targets": '
            '[{"pose": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}]}}',
            "/target_cameras",
        ),
    ],
)
def test_what_needs_their_cameras_is_refused(local, request_text, pointer):
    answer = upload(local, request_text, photo(), photo(shade=10))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_photos_of_two_sizes_are_refused_by_name_and_turned_ones_are_compared_upright(local):
    answer = upload(local, '{"targets": "orbit:3"}', photo(), photo(32, 40))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("1.jpg: is 32x40")
    turned = upload(local, '{"targets": "orbit:3"}', photo(), photo(32, 40, orientation=6))
    assert turned.status_code == 202, turned.text


def test_a_pipeline_without_an_estimator_says_what_to_do(tmp_path):
    posed = LocalServer(tmp_path)
    answer = upload(posed, '{"targets": "orbit:3"}', photo(), photo())
    posed.close()
    assert answer.status_code == 422
    assert "cameras.json" in answer.json()["hint"]
    assert "poses.use=colmap" in answer.json()["hint"]


def test_the_worker_gives_them_cameras_once(local, tmp_path):
    answer = upload(local, '{"targets": "interpolate:3"}', photo(), photo(shade=200))
    identity = answer.json()["scene"]["id"]
    path = local.server.data.scenes / identity.removeprefix("sha256:")
    bench = Workbench(fake_engine(), Registry.from_specs([]), 10**9, Estimator(None, None))
    order = {
        "scene": {"id": identity, "path": str(path), "name": "scene"},
        "targets": "interpolate:3",
        "target_cameras": None,
        "split": None,
        "convention": "auto",
    }
    known, at_hand = bench.known(order)
    assert (len(known.scene.inputs), len(known.scene.targets), at_hand) == (2, 3, False)
    assert bench.known(order)[1]
