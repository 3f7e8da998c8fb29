"""The contract of stage 2: clips, codec, sampler, and ``denoise`` under every executor."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sphinx_framework.engine.layout_checks import layout_problem
from sphinx_framework.errors import InputError
from sphinx_framework.protocols import DiffusionModel
from sphinx_framework.testing.contracts.base import NotApplicable, scene_tensors
from sphinx_framework.testing.contracts.finishing import FinishingChecks
from sphinx_framework.testing.contracts.guidance import GuidanceChecks
from sphinx_framework.testing.contracts.levels import LevelChecks
from sphinx_framework.testing.contracts.sampler import SamplerChecks
from sphinx_framework.testing.oracle import relative_error
from sphinx_framework.types import ClipLayout

MANY = 13  # frames of a clip, for the codec
LONG = 24  # targets; no table of a network's should end before


class DiffusionContract(LevelChecks, GuidanceChecks, FinishingChecks, SamplerChecks):
    """Stage 2; ``capabilities`` are those the spec claims."""

    num_steps: int = 10
    any_size = False
    paragraph = "A diffusion model"

    def test_layouts_make_every_target_once(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        for scene in self.variations():
            with self.or_refused(scene):
                with self.leaves_alone(**scene_tensors(scene)):
                    layouts = model.layouts(scene)
                counts = len(scene.inputs), len(scene.targets)
                problem = layout_problem(layouts, *counts, self.capabilities.max_frames)
                if problem is not None:
                    self.expect(False, problem[1], problem[0])
                again = model.layouts(scene)
                self.expect(tuple(layouts) == tuple(again), "the same layouts again", again)
        for name in ("latent_factor", "tile"):
            side = getattr(model, name)
            self.expect(type(side) is int and side >= 1, f"{name} as an int of at least 1", side)

    def test_no_clip_is_longer_than_the_claim(self) -> None:
        most = self.capabilities.max_frames
        if most is None:
            raise NotApplicable("the model claims no max_frames")
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene(targets=most + 1)
        try:
            layouts = model.layouts(scene)
        except InputError:
            return
        longest = max(len(layout) for layout in layouts)
        self.expect(longest <= most, f"clips of at most max_frames = {most} frames", longest)

    def test_a_long_clip_and_a_later_one(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        most = self.capabilities.max_frames
        count = LONG if most is None else most + 1
        scene = self.scene(targets=count)
        with self.or_refused(scene, longer=True):
            layouts = model.layouts(scene)
            problem = layout_problem(layouts, self.inputs, count, most)
            if problem is not None:
                self.expect(False, problem[1], problem[0])
            request = self.request(model, scene=scene, layout=layouts[-1])
            came = self._dense(model, request)
            what = f"denoised latents of the last of {len(layouts)} clips of {count} targets"
            self.expect_shape(came, tuple(request.x.shape), what)

    def test_codec_shapes(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        factor = model.latent_factor
        for scene in self.variations():
            with self.or_refused(scene), torch.no_grad():
                layout = model.layouts(scene)[0]
                coarse = self.coarse(scene).images
                for images, count in self._encodable(layout, scene.images, coarse):
                    height, width = images.shape[-2:]
                    with self.leaves_alone(images=images):
                        latents = model.encode(images)
                    shape = (count, latents.shape[1], height // factor, width // factor)
                    self.expect_shape(latents, shape, "latents")
                    with self.leaves_alone(latents=latents):
                        decoded = model.decode(latents)
                    self.expect_shape(decoded, tuple(images.shape), "decoded images")
                    self.expect_range(decoded, 0, 1, "decoded images")
                    self.expect(
                        torch.equal(latents, model.encode(images)),
                        "equal latents of equal images (no sampling)",
                        "others",
                    )

    @staticmethod
    def _encodable(
        layout: ClipLayout, inputs: Tensor, targets: Tensor
    ) -> Iterator[tuple[Tensor, int]]:
        """Pictures that the codec must take, and how many latents they make.

        A clip's frames, and, where each frame has a latent of its own, any others.
        """
        yield layout.stacked(inputs, targets), layout.num_latents
        if layout.latents is None:
            yield inputs, len(inputs)

    def test_decoded_images_lie_in_range(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene()
        layout = model.layouts(scene)[0]
        images = layout.stacked(scene.images, self.coarse(scene).images).clone()
        for position, value in enumerate((0.0, 0.5, 1.0)[: len(images)]):
            images[position] = value
        with torch.no_grad():
            latents = model.encode(images)
            for states in (latents, 3 * latents):
                self.expect_range(model.decode(states), 0, 1, "decoded images")

    def test_encoding_is_deterministic_and_frame_by_frame(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene()
        layout = model.layouts(scene)[0]
        images = layout.stacked(scene.images, self.coarse(scene).images)
        with torch.no_grad():
            first = model.encode(images)
            with self.stay("latents", first):
                model.encode(1 - images)
            second = model.encode(images)
        self.expect(
            torch.equal(first, second), "equal latents of equal images (no sampling)", "others"
        )
        self.expect_by_content(lambda: model.encode(images), images, 1 - images, "latents")
        if layout.latents is not None:
            return
        with torch.no_grad():
            alone = torch.cat([model.encode(image[None]) for image in images])
            many = model.encode(_repeated(images))[-len(images) :]
        for came in (first, many):
            error = relative_error(alone, came)
            self.expect(error < 1e-3, "a frame's latents from that frame alone", error)

    def test_decoding_is_deterministic_and_frame_by_frame(self) -> None:
        model: DiffusionModel[Any, Any] = self.make()
        scene = self.scene()
        layout = model.layouts(scene)[0]
        images = layout.stacked(scene.images, self.coarse(scene).images)
        with torch.no_grad():
            latents = model.encode(images)
            first = model.decode(latents)
            with self.stay("decoded images", first):
                model.decode(0.5 * latents)
            self.expect(
                torch.equal(first, model.decode(latents)), "equal images of equal latents", "others"
            )
            self.expect_by_content(
                lambda: model.decode(latents), latents, 0.5 * latents.flip(-1), "images"
            )
            if layout.latents is None:
                alone = torch.cat([model.decode(latent[None]) for latent in latents])
                many = model.decode(_repeated(latents))[-len(latents) :]
                for came in (first, many):
                    off = float((alone - came).abs().max())
                    self.expect(off < 0.01, "a frame's pixels from that frame alone", off)


def _repeated(rows: Tensor) -> Tensor:
    """More rows than a codec may take at once, and no multiple of what it does."""
    return rows.repeat(-(-MANY // len(rows)), 1, 1, 1)[-MANY:]
