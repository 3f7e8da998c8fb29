"""A pose estimator that answers wrongly is named, with what came and what was expected."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from planted_readers import KnowingPoses

from sphinx_framework.errors import JobError, SceneError
from sphinx_framework.registry import NoOptions, Registry
from sphinx_framework.scenes.pose_answers import guarded, installed_estimator
from sphinx_framework.types import PhotoHints

CPU = torch.device("cpu")
PHOTOS = torch.zeros(4, 3, 160, 208)
HINTS = PhotoHints(names=("a", "b", "c", "d"))


class Answering:
    """An estimator whose answer is changed."""

    def __init__(self, change):
        self.change, self.inner = change, KnowingPoses(None, CPU)

    def estimate_poses(self, images, *, hints=None):
        return self.change(self.inner.estimate_poses(images, hints=hints))


def cameras(**fields):
    return lambda found: replace(found, cameras=replace(found.cameras, **fields))


def poses(change):
    def changed(found):
        world = change(found.cameras.world_from_camera.clone())
        return replace(found, cameras=replace(found.cameras, world_from_camera=world))

    return changed


def raising(error):
    def change(found):
        raise error

    return change


WRONG = {
    "a NoneType without cameras, near, far, warnings": lambda found: None,
    "2 cameras": lambda found: replace(found, cameras=found.cameras[[0, 1]]),
    "a Tensor as cameras": lambda found: SimpleNamespace(
        cameras=found.cameras.world_from_camera, near=None, far=None, warnings=()
    ),
    "cameras for (512, 512) pixels": cameras(image_size=(512, 512)),
    "NaN or infinity": poses(lambda p: p * torch.nan),
    "pose is not rigid": poses(lambda p: 2 * p),
    "focal lengths must be positive": cameras(intrinsics=torch.diag(torch.tensor([-9.0, 9, 1]))),
    "near None and far 9.0": lambda found: replace(found, near=None),
    "near 9.5 and far 9.0": lambda found: replace(found, near=9.5),
    "near nan and far 9.0": lambda found: replace(found, near=float("nan")),
    "warnings 'no'": lambda found: replace(found, warnings="no"),
    "raised ZeroDivisionError": raising(ZeroDivisionError("of the plugin")),
    "raised SystemExit": raising(SystemExit(0)),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_answer_names_the_estimator(said):
    with pytest.raises(JobError, match="poses 'Answering'") as caught:
        guarded(Answering(WRONG[said])).estimate_poses(PHOTOS, hints=HINTS)
    assert said in caught.value.message
    assert caught.value.stage == "poses"
    assert caught.value.hint == "Run: sphinx-nvs check Answering --kind poses."


def test_an_estimator_that_writes_into_the_photos_is_named():
    photos = PHOTOS.clone()
    estimator = guarded(Answering(lambda found: (photos.add_(1), found)[1]))
    with pytest.raises(JobError, match="values written into the photos"):
        estimator.estimate_poses(photos, hints=HINTS)


def test_a_right_answer_and_a_refusal_pass_as_they_are():
    assert len(guarded(Answering(lambda f: f)).estimate_poses(PHOTOS, hints=HINTS).cameras) == 4
    refusing = guarded(Answering(raising(SceneError("too dark."))))
    with pytest.raises(SceneError, match="too dark"):
        refusing.estimate_poses(PHOTOS, hints=HINTS)


def test_an_installed_one_is_named_with_its_plugin(plugin_folder):
    plugin_folder.offer("pairs", ("poses", "pairs"))
    registry = Registry.from_entry_points(plugin_folder.points())
    estimator = installed_estimator("pairs", NoOptions(), CPU, registry)
    assert guarded(estimator) is estimator
    with pytest.raises(JobError, match=r"poses 'pairs' \(sphinx-framework-pairs 1.2\) raised"):
        estimator.estimate_poses(PHOTOS)
