"""Photos and videos without cameras, through an estimator that always answers the same."""

import json
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from brought import told
from PIL import Image

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.load import load_unposed
from sphinx_framework.testing.fakes import fake_cameras

PLUGIN = f"""
from sphinx_framework.plugin import ComponentSpec, hookimpl

@hookimpl
def sphinx_framework_components():
    return [ComponentSpec(kind="poses", name="track", factory="{__name__}:Track", licence="MIT")]
"""


class Track:
    """Cameras on a track, whatever the photos show."""

    def __init__(self, options=None, device=None, parts=None):
        pass

    def estimate_poses(self, images, *, hints=None):
        cameras = fake_cameras(len(images), tuple(images.shape[-2:]))
        return SimpleNamespace(cameras=cameras, near=1.0, far=9.0, warnings=())


@pytest.fixture
def estimating(command, monkeypatch):
    """The command line with the estimator."""
    command.plugins.install("poses", PLUGIN)
    monkeypatch.setenv("SPHINX_FRAMEWORK_PLUGINS", "fakes,poses")
    return command


@pytest.fixture
def photos(tmp_path):
    """Three photos, and where their folder is."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        noise(index).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def video(tmp_path):
    """Three frames."""
    with av.open(str(tmp_path / "room.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 40, 32, "yuv420p"
        frames = [av.VideoFrame.from_image(noise(index)) for index in range(3)]
        for frame in (*frames, None):
            for packet in stream.encode(frame):
                container.mux(packet)
    return tmp_path / "room.mp4"


def noise(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def targets_file(folder, content):
    (folder / "path.json").write_text(json.dumps(content))
    return str(folder / "path.json")


def test_a_video_is_loaded_after_its_frames_are_gone(video):
    scene = load_unposed(video, Track(), targets="interpolate:2")
    assert (scene.name, len(scene.inputs), len(scene.targets)) == ("room.mp4", 3, 2)


@pytest.mark.parametrize("asked", ["render", "plan"])
def test_a_video_is_rendered(estimating, video, asked):
    given = ("--scene", video, "--poses", "track", "--targets", "interpolate:2")
    ended = getattr(estimating, asked)(*given)
    assert ended.code == 0, ended.told


def test_what_lies_beside_photos_is_told(photos):
    (photos / "3.dng").touch()
    (photos.parent / "masks").mkdir()
    noise(0).save(photos.parent / "masks/1.png")
    scene = load_unposed(photos, Track())
    assert told(scene, "of a kind that is not read", "3.dng")
    assert told(scene, "the masks of 1 photo are not used")


@pytest.mark.parametrize("alpha", [255, 100])
def test_transparency_is_told_as_of_posed_photos(photos, alpha):
    for file in photos.iterdir():
        photo = Image.open(file).convert("RGBA")
        photo.putalpha(alpha)
        photo.save(file)
    scene = load_unposed(photos, Track())
    assert told(scene, "0.png: transparency is filled with white (3 photos)") == (alpha < 255)


def test_photos_of_two_sizes_are_told_as_width_and_height(photos):
    noise(0).resize((20, 30)).save(photos / "2.png")
    with pytest.raises(SceneError, match=r"2\.png: is 20x30 \(width x height\), but 0\.png is 40x"):
        load_unposed(photos, Track())


@pytest.mark.parametrize("convention", ["opencv_w2c", "opencv_c2w"])
def test_a_file_of_targets_is_read_by_the_convention_asked_for(photos, tmp_path, convention):
    pose = torch.eye(4)
    pose[0, 3] = 0.2
    written = pose.inverse() if convention == "opencv_w2c" else pose
    file = targets_file(tmp_path, {"targets": [{"pose": written.tolist()}]})
    scene = load_unposed(photos, Track(), targets=file, convention=convention)
    torch.testing.assert_close(scene.targets.world_from_camera[0], pose)


def test_the_command_line_hands_the_convention_on(estimating, photos, tmp_path):
    file = targets_file(tmp_path, {"targets": [{"pose": np.eye(4).tolist()}]})
    given = ("--scene", photos, "--poses", "track", "--targets", file)
    assert "'convention' is missing" in estimating.plan(*given).told
    ended = estimating.plan(*given, "--convention", "opencv_c2w")
    assert ended.code == 0, ended.told


def test_an_unknown_convention_is_refused(photos):
    with pytest.raises(SceneError, match="unknown camera convention 'opencv'"):
        load_unposed(photos, Track(), convention="opencv")


def test_indices_of_photos_without_cameras_are_refused(photos):
    with pytest.raises(SceneError, match=r"'indices:1': indices name frames of a posed capture"):
        load_unposed(photos, Track(), targets="indices:1")


def test_a_split_of_photos_without_cameras_is_refused(estimating, photos):
    ended = estimating.render("--scene", photos, "--poses", "track", "--split", "2")
    assert ended.code == 2
    assert "--split 2 chooses among posed photos" in ended.told
    to = estimating.folder / "imported"
    ended = estimating("import", photos, "--poses", "track", "--split", "2", "--out", to)
    assert ended.code == 2
    assert "--split 2 chooses among posed photos" in ended.told


@pytest.mark.parametrize(("asked", "few"), [("40", True), ("3", False)])
def test_a_video_of_fewer_frames_than_asked_for_is_told(estimating, video, asked, few):
    to = estimating.folder / "imported"
    ended = estimating("import", video, "--poses", "track", "--frames", asked, "--out", to)
    assert ended.code == 0, ended.told
    assert ("room.mp4: has only 3 usable frames, not the 40 of --frames" in ended.told) == few
