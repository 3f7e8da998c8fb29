"""Published evaluation sets: chunks with an evaluation index, and DL3DV folders."""

import json

import pytest
import torch
from photo_scenes import transforms, write_photo_scene
from PIL import Image

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.readers import read_scene
from sphinx_framework.study.evaluate.datasets import (
    Views,
    chunk_scenes,
    folder_scene,
    read_index,
)

HEIGHT, WIDTH = 20, 30


def test_the_scenes_of_the_index_that_are_there_are_found(chunks, index):
    found = chunk_scenes(chunks, index, None, "crop")
    assert [name for name, _ in found] == ["test/first", "test/third"]


@pytest.mark.parametrize("listed", [True, False], ids=["with index.json", "without"])
def test_a_scene_has_the_views_of_the_index(chunks, index, listed):
    if not listed:
        (chunks / "index.json").unlink()
    _, load = chunk_scenes(chunks, index, None, "crop")[0]
    scene = load()
    assert scene.images.shape == (2, 3, HEIGHT, WIDTH)
    assert scene.images.mean((1, 2, 3)) == pytest.approx([0, 200 / 255])
    assert scene.target_images.mean((1, 2, 3)) == pytest.approx([40 / 255, 120 / 255])
    assert scene.order == (0, 5, 1, 3)


def test_cameras_are_inverted_and_intrinsics_in_pixels(chunks, index):
    scene = chunk_scenes(chunks, index, None, "crop")[0][1]()
    torch.testing.assert_close(
        scene.targets.centres, torch.tensor([[0.25, 0, 0], [0.75, 0, 0]]), atol=1e-6, rtol=0
    )
    expected = torch.tensor([[0.8 * WIDTH, 0, 15], [0, 1.2 * HEIGHT, 8], [0, 0, 1]])
    torch.testing.assert_close(scene.inputs.intrinsics[0], expected)


def test_scenes_are_fitted_to_the_pipelines_size(chunks, index):
    scene = chunk_scenes(chunks, index, (16, 16), "crop")[0][1]()
    assert scene.images.shape == (2, 3, 16, 16)
    assert scene.target_images.shape == (2, 3, 16, 16)
    assert scene.inputs.image_size == (16, 16)
    assert scene.inputs.intrinsics[0, 0, 2] == pytest.approx(8)


def test_an_index_of_another_split_is_refused(chunks, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"elsewhere": {"context": [0], "target": [1]}}))
    with pytest.raises(SceneError, match="none of the 1 scenes"):
        chunk_scenes(chunks, other, None, "crop")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "object"),
        ('{"a": null}', "no scene with views"),
        ('{"a": {"context": [0]}}', "'target' is missing"),
        ('{"a": {"context": [-1], "target": [1]}}', "frame -1"),
        ('{"a": {"context": ["0"], "target": [1]}}', "whole number"),
    ],
)
def test_a_bad_index_is_refused_by_name(tmp_path, text, told):
    path = tmp_path / "index.json"
    path.write_text(text)
    with pytest.raises(SceneError, match=told):
        read_index(path)


def test_frames_beyond_the_video_are_refused(chunks, tmp_path):
    path = tmp_path / "far.json"
    path.write_text(json.dumps({"first": {"context": [0, 99], "target": [1]}}))
    with pytest.raises(SceneError, match="frame 99 does not exist"):
        chunk_scenes(chunks, path, None, "crop")[0][1]()


@pytest.mark.parametrize("content", [b"", b"no chunk", b"PK\x03\x04 cut"])
def test_a_damaged_chunk_is_named(chunks, index, content):
    (chunks / "000000.torch").write_bytes(content)
    with pytest.raises(SceneError, match=r"000000\.torch"):
        chunk_scenes(chunks, index, None, "crop")[0][1]()


def test_a_chunk_of_something_else_is_refused(chunks, index):
    torch.save({"weights": torch.zeros(3)}, chunks / "000000.torch")
    with pytest.raises(SceneError, match="no chunk of scenes"):
        chunk_scenes(chunks, index, None, "crop")[0][1]()


class Rogue:
    """An object that runs a command when it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_chunk_cannot_run_code(chunks, index, tmp_path):
    torch.save([Rogue(tmp_path / "ran")], chunks / "000000.torch")
    with pytest.raises(SceneError, match="no chunk of scenes"):
        chunk_scenes(chunks, index, None, "crop")[0][1]()
    assert not (tmp_path / "ran").exists()


def test_an_image_that_cannot_be_decoded_is_named(chunks, index):
    first, second = torch.load(chunks / "000000.torch", weights_only=True)
    first["images"][3] = torch.zeros(9, dtype=torch.uint8)
    torch.save([first, second], chunks / "000000.torch")
    with pytest.raises(SceneError, match="first, image 3"):
        chunk_scenes(chunks, index, None, "crop")[0][1]()


def test_an_index_chooses_the_views_of_a_scene_folder(tmp_path):
    folder = write_photo_scene(tmp_path / "abc")
    scene = folder_scene(folder, Views(inputs=(1, 3), targets=(0, 2)), None, "crop")
    whole = read_scene(folder, targets="indices:0,2")
    torch.testing.assert_close(scene.target_images, whole.target_images)
    torch.testing.assert_close(scene.targets.world_from_camera, whole.targets.world_from_camera)
    assert len(scene.inputs) == 2


def test_scaled_images_stand_in_for_those_that_are_not_on_disk(tmp_path):
    folder = write_photo_scene(tmp_path / "abc" / "nerfstudio").parent
    whole = read_scene(folder / "nerfstudio")
    (folder / "nerfstudio" / "images_4").mkdir()
    for path in (folder / "nerfstudio" / "images").iterdir():
        with Image.open(path) as photo:
            photo.resize((20, 16)).save(folder / "nerfstudio" / "images_4" / path.name)
        path.unlink()
    scene = folder_scene(folder, None, None, "crop")
    assert scene.images.shape == (2, 3, 16, 20)
    torch.testing.assert_close(scene.inputs.intrinsics[:, :2], whole.inputs.intrinsics[:, :2] / 2)
    assert scene.target_images is not None
    assert scene.name == "abc"


def test_a_frame_that_the_folder_lacks_is_refused(tmp_path):
    folder = write_photo_scene(tmp_path / "abc")
    assert len(transforms()["frames"]) == 5
    with pytest.raises(SceneError, match="frame 7 does not exist"):
        folder_scene(folder, Views(inputs=(0, 7), targets=(1,)), None, "crop")
