"""Efficient-LVSM as a regression model: scene in, target views out; photos are encoded once."""

from dataclasses import dataclass
from uuid import uuid4

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import JobError
from sphinx_framework.geometry.resize import fit_cameras, fit_images, rounded_size
from sphinx_framework.plugin import NO_PARTS, Parts
from sphinx_framework.types import Cameras, CoarseViews, Scene
from sphinx_framework_efficient_lvsm.config import EfficientLVSMConfig
from sphinx_framework_efficient_lvsm.memory import SceneMemory, digest
from sphinx_framework_efficient_lvsm.network import EncodedViews
from sphinx_framework_efficient_lvsm.rays import Frame, frame_of, pluecker, posed
from sphinx_framework_efficient_lvsm.weights import loaded_network

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
FRAME_INPUTS = 2
# Photos closer together than this share of the distance between all cameras give no frame.
SMALLEST_BASELINE = 1e-3


@dataclass(frozen=True, slots=True)
class Framed:
    """A scene's coordinate frame, its identity, and what the user should know about it."""

    frame: Frame
    key: bytes
    warnings: tuple[str, ...]


class EfficientLVSM:
    """Renders every target from the photos' keys and values, which :class:`SceneMemory` keeps.

    Photos are encoded and targets rendered one by one, so that a request computes the same bits
    whatever the memory holds of it already.

    Raises (on construction):
        WeightsError: the checkpoint is missing or does not fit the network.
    """

    def __init__(
        self, config: EfficientLVSMConfig, device: torch.device, parts: Parts = NO_PARTS
    ) -> None:
        self.config = config
        self.device = device
        self.network = loaded_network(config).to(device).eval().requires_grad_(False)
        self.memory = SceneMemory(config.memory_bytes)
        # A memory may serve several models; what one of them computed is of no use to another.
        self._identity = uuid4().bytes

    def scene_memory(self) -> SceneMemory:
        """An empty memory of one scene, within the configured bound."""
        return SceneMemory(self.config.memory_bytes)

    @torch.no_grad()
    def predict(self, scene: Scene, memory: SceneMemory | None = None) -> CoarseViews:
        """Render all targets at the scene's size; the model knows no opacity and no depth.

        Args:
            scene: one posed photo or more.
            memory: what is kept between requests; the model's own by default.

        Raises:
            SceneError: anything that :meth:`Scene.validate` finds.
            JobError: the network's output is not finite.
        """
        scene.validate()
        memory = self.memory if memory is None else memory
        framed = _framed(scene, self.config.frame)
        size = self._working_size(scene.inputs.image_size)
        view_keys = [
            digest(self._identity, framed.key, size, scene.images[i], *_camera(scene.inputs, i))
            for i in range(len(scene.inputs))
        ]
        views: EncodedViews | None = None

        def encoded() -> EncodedViews:
            """All photos of the request; nothing is encoded where every target is finished."""
            nonlocal views
            if views is None:
                views = memory.views(
                    view_keys, lambda i: self._encoded(scene, i, framed.frame, size)
                )
            return views

        images = [
            memory.picture(
                digest(b"".join(view_keys), *_camera(scene.targets, i)),
                lambda i=i: self._rendered(scene.targets[i], encoded(), framed.frame, size),  # type: ignore[misc]
            )
            for i in range(len(scene.targets))
        ]
        resized = () if size == scene.targets.image_size else (_resized(size, scene),)
        return CoarseViews(images=torch.stack(images), warnings=(*framed.warnings, *resized))

    def _working_size(self, source: tuple[int, int]) -> tuple[int, int]:
        return rounded_size(
            source, multiple_of=self.network.side, short_side=self.config.short_side
        )

    def _encoded(
        self, scene: Scene, index: int, frame: Frame, size: tuple[int, int]
    ) -> EncodedViews:
        image = fit_images(scene.images[index : index + 1].to(self.device), size, "stretch")
        cameras = fit_cameras(scene.inputs[index].to(self.device), size, "stretch")
        with self._precision():
            return self.network.encode(posed(image, pluecker(frame, cameras)))

    def _rendered(
        self, camera: Cameras, views: EncodedViews, frame: Frame, size: tuple[int, int]
    ) -> Float[Tensor, "3 H W"]:
        fitted = fit_cameras(camera.to(self.device), size, "stretch")
        with self._precision():
            image = self.network.render(pluecker(frame, fitted), views).float()
        if not bool(image.isfinite().all()):
            raise JobError(
                f"efficient-lvsm's network produced NaN or infinity in {self.config.dtype}.",
                hint="Use dtype 'float32' or 'bfloat16'; if that is in use, check the weights.",
            )
        return fit_images(image, camera.image_size, "stretch")[0]

    def _precision(self) -> torch.autocast:
        dtype = PRECISIONS[self.config.dtype]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


def _framed(scene: Scene, rule: str) -> Framed:
    inputs = scene.inputs.world_from_camera
    everything = torch.cat((inputs, scene.targets.world_from_camera.to(inputs.device)))
    warnings: tuple[str, ...] = ()
    chosen = everything
    if rule == "first-inputs":
        chosen = inputs[:FRAME_INPUTS]
        baseline, extent = _extent(chosen), _extent(everything)
        if extent > 0 and baseline < SMALLEST_BASELINE * extent:
            chosen = everything
            warnings = (
                "efficient-lvsm: the first photos do not fix a unit of length; it is taken from "
                "all cameras, so that another target means encoding the photos anew",
            )
    frame = frame_of(chosen)
    return Framed(frame, digest(frame.world_from_frame, frame.unit), warnings)


def _extent(poses: Float[Tensor, "V 4 4"]) -> float:
    """Largest distance of a camera from the first one."""
    return float((poses[:, :3, 3] - poses[:1, :3, 3]).norm(dim=-1).max())


def _camera(cameras: Cameras, index: int) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """What of a camera the pixels depend on."""
    return cameras.world_from_camera[index], cameras.intrinsics[index], cameras.image_size


def _resized(size: tuple[int, int], scene: Scene) -> str:
    height, width = scene.targets.image_size
    return (
        f"efficient-lvsm sees and renders {size[1]}x{size[0]} images (width x height); they are "
        f"resized to {width}x{height}"
    )
