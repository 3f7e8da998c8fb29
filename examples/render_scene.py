"""Render a scene from Python and keep the images as tensors."""

import sphinx_framework as sf

engine = sf.Engine.from_config("lite", device="cpu")
scene = sf.load_scene("procedural:demo", size=(96, 96))
result = engine.render(scene, quality=0.95, mode="selective", seed=0)

print(result.images.shape, result.report.seconds.total)
for frame in result.report.frames:
    print(frame.index, frame.served, frame.start_step, round(frame.achieved_ratio, 3))
