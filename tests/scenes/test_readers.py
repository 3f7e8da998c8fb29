from pathlib import Path

import pytest
import torch
from goldens import capture_folder
from scene_folders import save_gradient, transforms_scene

from sphinx_framework.errors import SceneError
from sphinx_framework.output.transforms import write_transforms
from sphinx_framework.scenes.images import write_png
from sphinx_framework.scenes.readers import read_scene, scene_path
from sphinx_framework.types import Cameras, Scene


class GeneratedScenes:
    """A reader of ``procedural:N`` scenes with N targets, 12x20 pixels."""

    name = "generated"

    def can_read(self, path: Path) -> bool:
        return str(path).startswith("procedural:")

    def read(self, path: Path, **options: object) -> Scene:
        count = int(str(path).partition(":")[2])

        def cameras(number: int) -> Cameras:
            poses = torch.eye(4).repeat(number, 1, 1)
            poses[:, 0, 3] = torch.arange(number)
            k = torch.tensor([[20.0, 0, 10], [0, 20, 6], [0, 0, 1]])
            return Cameras(
                world_from_camera=poses,
                intrinsics=k.repeat(number, 1, 1),
                image_size=(12, 20),
            )

        return Scene(
            images=torch.zeros(2, 3, 12, 20),
            inputs=cameras(2),
            targets=cameras(count),
            target_images=torch.zeros(count, 3, 12, 20),
            warnings=tuple(sorted(options)),
        )


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_folder_becomes_a_valid_scene_of_the_size_asked_for(tmp_path, fit):
    transforms_scene(tmp_path)
    scene = read_scene(str(tmp_path), size=(16, 20), fit=fit)
    assert scene.images.shape == (2, 3, 16, 20)
    assert scene.targets.image_size == (16, 20)
    assert scene.target_images is not None
    assert scene.target_images.shape == (3, 3, 16, 20)
    assert scene.name == tmp_path.name


def test_the_path_of_the_json_file_stands_for_its_folder(tmp_path):
    transforms_scene(tmp_path)
    assert read_scene(tmp_path / "transforms.json").name == tmp_path.name


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SceneError, match="absent: no such scene folder"):
        read_scene(tmp_path / "absent")


def test_a_plain_file_is_no_scene(tmp_path):
    save_gradient(tmp_path / "photo.png", 4, 4)
    with pytest.raises(SceneError, match="is a file that no reader knows"):
        read_scene(tmp_path / "photo.png")


def test_a_plugin_reader_is_asked_for_what_is_no_folder():
    scene = read_scene("procedural:3", size=(8, 8), split=4, readers=[GeneratedScenes()])
    assert scene.images.shape == (2, 3, 8, 8)
    assert len(scene.targets) == 3
    assert scene.warnings == ("size", "split")


def test_frames_of_a_generated_scene_are_chosen_by_number():
    chosen = read_scene("procedural:5", targets="indices:4,0", readers=[GeneratedScenes()])
    assert chosen.targets.centres[:, 0].tolist() == [4, 0]
    assert chosen.target_images is not None
    assert len(chosen.target_images) == 2
    with pytest.raises(SceneError, match=r"frame 9 is not a target.*0, 1, 2, 3, 4"):
        read_scene("procedural:5", targets="indices:9", readers=[GeneratedScenes()])


def test_a_generated_scene_without_targets_is_refused():
    with pytest.raises(SceneError, match="no targets"):
        read_scene("procedural:0", readers=[GeneratedScenes()])


def test_a_path_of_its_own_serves_a_generated_scene():
    scene = read_scene("procedural:1", targets="orbit:4", readers=[GeneratedScenes()])
    assert len(scene.targets) == 4
    assert scene.target_images is None


def test_a_generated_scene_needs_its_plugin():
    with pytest.raises(SceneError, match="no installed scene reader generates 'procedural:room'"):
        read_scene("procedural:room")


def test_a_reader_can_be_named(tmp_path):
    transforms_scene(tmp_path)
    assert len(read_scene(tmp_path, reader="transforms").targets) == 3
    scene = read_scene("procedural:2", reader="generated", readers=[GeneratedScenes()])
    assert len(scene.targets) == 2
    with pytest.raises(SceneError, match=r"no scene reader 'transform'. Did you mean 'transforms'"):
        read_scene(tmp_path, reader="transform")
    with pytest.raises(SceneError, match=r"reader 'photos' needs cameras\.json"):
        read_scene(tmp_path, reader="photos")


def test_generated_names_are_no_folders():
    assert str(scene_path("procedural:room?seed=3")) == "procedural:room?seed=3"
    assert scene_path("~/scene") == Path.home() / "scene"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fit": "zoom"}, "unknown fit 'zoom'"),
        ({"size": (0, 4)}, "1 to 8192 pixels each"),
        ({"near": 1.0}, "both near and far"),
        ({"near": 0.0, "far": 1.0}, "0 < near < far"),
        ({"near": float("nan"), "far": 1.0}, "0 < near < far"),
    ],
)
def test_bad_options_are_one_clear_error(tmp_path, options, message):
    transforms_scene(tmp_path)
    with pytest.raises(SceneError, match=message):
        read_scene(tmp_path, **options)


def test_results_written_with_their_cameras_are_a_scene_again(tmp_path):
    transforms_scene(tmp_path / "scene")
    scene = read_scene(tmp_path / "scene", size=(16, 16))
    assert scene.target_images is not None
    (tmp_path / "out" / "frames").mkdir(parents=True)
    names = [f"frames/{i:03d}.png" for i in range(len(scene.targets))]
    for name, image in zip(names, scene.target_images, strict=True):
        write_png(tmp_path / "out" / name, image)
    write_transforms(tmp_path / "out" / "transforms.json", scene.targets, file_paths=names)
    again = read_scene(tmp_path / "out")
    assert torch.equal(again.inputs.world_from_camera, scene.targets.world_from_camera[[0, 2]])
    assert torch.equal(again.inputs.intrinsics, scene.targets.intrinsics[[0, 2]])
    torch.testing.assert_close(again.images, scene.target_images[[0, 2]], rtol=0, atol=0.5 / 255)


def test_a_real_capture_loads():
    scene = read_scene(capture_folder("re10k_room"), size=(96, 96))
    assert scene.images.shape == (2, 3, 96, 96)
    assert scene.target_images is not None
    assert scene.order is not None
    moved = scene.inputs.centres[1] - scene.inputs.centres[0]
    assert float(moved @ scene.inputs.world_from_camera[0, :3, 2]) > 0.5
