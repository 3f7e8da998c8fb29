"""What a caller asks of a scene is checked before anything is read, and named when it is wrong."""

import numpy as np
import pytest

from sphinx_framework.errors import InputError, JobError, SceneError
from sphinx_framework.scenes import memory
from sphinx_framework.scenes.asked import asked_size
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.scenes.memory import check_memory, enough_memory, free_memory


@pytest.mark.parametrize(
    "size", [(24, 32), [24, 32], np.array([24, 32]), (np.int64(24), np.int32(32))]
)
def test_a_size_is_two_whole_numbers(photo_scene, size):
    assert asked_size(size) == (24, 32)
    assert tuple(load_scene(photo_scene, size=size).images.shape[-2:]) == (24, 32)


@pytest.mark.parametrize(
    "size",
    [(96,), 96, (96.5, 128), "96x128", (True, 96), (0, 96), (96, -1), (100000, 100000), (8193, 8)],
)
def test_anything_else_is_refused_by_name(photo_scene, size):
    with pytest.raises(SceneError, match=r"^size must be \(height, width\)"):
        load_scene(photo_scene, size=size)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"near": "1", "far": "3"}, "near must be a number or None, got '1'"),
        ({"near": True, "far": 3}, "near must be a number or None, got True"),
        ({"targets": 5}, "targets must be one text or None, got 5"),
        ({"targets": ["orbit:3"]}, "targets must be one text or None, got ['orbit:3']"),
        ({"reader": 5}, "reader must be a text or None, got 5"),
        ({"fit": 5}, "fit must be a text or None, got 5"),
        ({"max_pixels": "many"}, "max_pixels must be a whole number of at least 1, got 'many'"),
        ({"splat": 1}, "load_scene has no option 'splat'. Did you mean 'split'?"),
        ({"readers": []}, "load_scene has no option 'readers'. Did you mean 'reader'?"),
    ],
)
def test_options_of_the_wrong_type_are_named(photo_scene, options, told):
    with pytest.raises(InputError) as refused:
        load_scene(photo_scene, **options)
    assert told in str(refused.value)


@pytest.mark.parametrize("path", [5, None, b"scene"])
def test_what_is_no_path_is_said(path):
    with pytest.raises(SceneError, match="must be a path"):
        load_scene(path)


def test_numbers_of_numpy_count(photo_scene):
    scene = load_scene(photo_scene, near=np.float32(0.5), far=np.int64(9), targets="orbit:2")
    assert (scene.near, scene.far) == (0.5, 9.0)


def test_pictures_that_do_not_fit_into_memory_are_refused_with_the_numbers(
    photo_scene, monkeypatch
):
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000_000)
    with pytest.raises(SceneError, match=r"5 pictures of it take 0\.2 GB .* 0\.1 GB are free"):
        load_scene(photo_scene, size=(2000, 2000))
    with pytest.raises(SceneError, match="1002 pictures"):
        load_scene(photo_scene, size=(96, 96), targets="orbit:1000")
    assert load_scene(photo_scene, size=(96, 96), targets="orbit:8").targets.image_size == (96, 96)


def test_where_the_system_does_not_tell_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    check_memory(1000, (8192, 8192))


def test_the_free_memory_is_a_number_of_bytes():
    free = free_memory()
    assert free is None or 2**20 < free < 2**50


def test_a_failed_allocation_is_an_error_about_memory_and_others_pass():
    full = "the scene: there is not enough memory"
    with pytest.raises(JobError, match=full) as told, enough_memory("the scene"):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 byte")
    assert told.value.kind == "out-of-memory"
    with pytest.raises(RuntimeError, match="shape"), enough_memory("the scene"):
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize(
    ("limit", "used", "cached", "left"), [(1000, 300, 50, 750), (1000, 1200, 0, 0)]
)
def test_what_a_container_has_used_already_is_not_free(
    tmp_path, monkeypatch, limit, used, cached, left
):
    for name, text in (("max", limit), ("current", used), ("stat", f"inactive_file {cached}\nx 1")):
        (tmp_path / f"memory.{name}").write_text(str(text))
    group = (str(tmp_path / "memory.max"), str(tmp_path / "memory.current"))
    monkeypatch.setattr(memory, "_GROUPS", (group,))
    assert free_memory() == left
    (tmp_path / "memory.max").write_text("max")
    assert free_memory() > left
