"""A server on fakes for the page's tests: a sample, slow jobs and failing ones by their targets.

A slow job stands still at its third denoising step as long as the file ``PAGE_HOLD`` is there.
"""

SLOW_TARGETS = 9
FAILING_TARGETS = 14

PLUGIN = f"""
import os
import time
from types import SimpleNamespace
from sphinx_framework.plugin import ComponentSpec, hookimpl
from sphinx_framework.testing.fakes import (
    FakeConfig, FakeDiffusion, FakeRegression, FakeSteps, fake_cameras, fake_scene
)

class Diffusion(FakeDiffusion):
    slow, steps = False, 0

    def layouts(self, scene):
        self.slow, self.steps = len(scene.targets) == {SLOW_TARGETS}, 0
        return super().layouts(scene)

    def denoise(self, *arguments):
        self.steps += 1
        time.sleep(0.15 if self.slow else 0)  # more than the server thins out
        while self.slow and self.steps > 2 and os.path.exists(os.environ["PAGE_HOLD"]):
            time.sleep(0.05)
        return super().denoise(*arguments)

class Regression(FakeRegression):
    def predict(self, scene):
        if len(scene.targets) == {FAILING_TARGETS}:
            raise RuntimeError("a bug")
        return super().predict(scene)

class Steps(FakeSteps):
    qualities = (0.8, 0.9, 1.0)

class Estimator:
    def __init__(self, *_):
        pass

    def estimate_poses(self, images, *, hints=None):
        cameras = fake_cameras(len(images), tuple(images.shape[-2:]))
        return SimpleNamespace(cameras=cameras, near=1.0, far=9.0, warnings=())

class Reader:
    def __init__(self, *_):
        pass

    def can_read(self, path):
        return str(path) == "procedural:demo"

    def read(self, path, **options):
        return fake_scene(targets=6, size=(48, 64))

@hookimpl
def sphinx_framework_components():
    from dataclasses import replace
    from sphinx_framework.testing.pipeline import fake_specs
    own = {{"diffusion": "Diffusion", "regression": "Regression", "steps": "Steps"}}
    reader = ComponentSpec(
        kind="scene_reader", name="fake-scenes", factory=__name__ + ":Reader", summary="a sample"
    )
    poses = ComponentSpec(
        kind="poses",
        name="own",
        factory=__name__ + ":Estimator",
        config=FakeConfig.__module__ + ":FakeConfig",
        summary="a track",
    )
    return [reader, poses] + [
        replace(spec, factory=__name__ + ":" + own[spec.kind]) if spec.kind in own else spec
        for spec in fake_specs()
    ]
"""

# Seconds by hand: the page shows what each quality would cost.
COST = """
[cost]
full = 2.0
encode_per_frame = 0.1
decode_per_frame = 0.1
regression_seconds = 0.1
quality_seconds = 0.1
plan_seconds = 0.1
num_frames = 8
measured = "by hand"
"""


def cameras_json(names: list[str]) -> dict:
    """Cameras on a straight track for photos of 40 x 32 pixels; two targets between them."""

    def pose(x: float) -> list[list[float]]:
        return [[1, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]

    lens = {"fx": 40, "fy": 40, "cx": 20, "cy": 16}
    inputs = [
        {"file": name, "pose": pose(0.4 * i), "intrinsics": lens, "width": 40, "height": 32}
        for i, name in enumerate(names)
    ]
    targets = [{"pose": pose(0.1)}, {"pose": pose(0.3)}]
    return {"convention": "opencv_c2w", "inputs": inputs, "targets": targets, "near": 1, "far": 9}
