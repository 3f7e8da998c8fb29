import torch

from sphinx_framework.testing.fakes import fake_cameras, fake_scene
from sphinx_framework.testing.pipeline import fake_engine, fake_latents


def test_fake_scenes_are_valid_at_any_size():
    for targets, inputs, size in ((1, 1, (8, 8)), (3, 4, (16, 24)), (7, 2, (32, 32))):
        scene = fake_scene(targets, inputs, size)
        scene.validate()
        assert scene.images.shape == (inputs, 3, *size)
        assert len(scene.targets) == targets


def test_fake_scenes_differ_by_seed_only():
    assert torch.equal(fake_scene(seed=3).images, fake_scene(seed=3).images)
    assert not torch.equal(fake_scene(seed=3).images, fake_scene(seed=4).images)


def test_the_inputs_of_a_fake_scene_are_the_ends_of_its_track():
    scene = fake_scene(4)
    assert scene.order == (0.0, 5.0, 1.0, 2.0, 3.0, 4.0)


def test_fake_cameras_are_usable():
    fake_cameras(3, (8, 16)).validate("camera")


def test_fake_latents_fit_the_fake_model():
    engine = fake_engine()
    latents = fake_latents(engine, 2)
    decoded = engine.components.diffusion.decode(latents)
    assert engine.components.diffusion.encode(decoded).shape == latents.shape
