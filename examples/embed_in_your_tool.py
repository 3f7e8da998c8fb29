"""Use the engine inside another NVS tool: your cameras in, early frames out."""

import torch

import sphinx_framework as sf
from sphinx_framework.engine.events import CoarseReady, Finished, FrameFinal


def my_scene() -> sf.Scene:
    """Two photos and one target; poses are camera-to-world in OpenCV axes."""
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 0.15, 0.3])
    intrinsics = torch.tensor([[96.0, 0, 48], [0, 96.0, 48], [0, 0, 1]]).repeat(3, 1, 1)

    def cameras(rows: list[int]) -> sf.Cameras:
        return sf.Cameras(
            world_from_camera=poses[rows], intrinsics=intrinsics[rows], image_size=(96, 96)
        )

    photos = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    return sf.Scene(
        images=torch.nn.functional.interpolate(photos, (96, 96), mode="bilinear"),
        inputs=cameras([0, 2]),
        targets=cameras([1]),
        near=1.0,
        far=10.0,
    )


engine = sf.Engine.from_config("lite", device="cpu")
for event in engine.stream(my_scene(), quality=0.9, mode="fine"):
    match event:
        case CoarseReady(coarse=coarse):
            print("show these at once:", tuple(coarse.images.shape))
        case FrameFinal(index=index, served=served):
            print("target", index, "is final:", served)
        case Finished(result=result):
            print("done:", result.report.schedule)
