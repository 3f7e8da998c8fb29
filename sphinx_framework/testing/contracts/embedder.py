"""The contract of scene embedders."""

import torch
from torch import Tensor

from sphinx_framework.protocols import Embedder
from sphinx_framework.testing.contracts.demands import Demands


class EmbedderContract(Demands):
    """The scene embedding."""

    paragraph = "An embedder"

    def test_one_unit_vector_for_all_inputs(self) -> None:
        embedder: Embedder = self.make()
        for count in (self.inputs, self.inputs + 1):
            images = self.scene(inputs=count).images
            with self.leaves_alone(images=images):
                vector = embedder.embed(images)
                self._unit(vector, "")
                kept = vector.clone()
                with self.stay("vectors", vector):
                    embedder.embed(self.scene(1, inputs=count).images)
                again = embedder.embed(images)
            self.expect(
                torch.equal(kept, again),
                "equal vectors of equal photos, whatever was embedded in between",
                "another vector",
            )

    def _unit(self, vector: Tensor, of: str) -> None:
        """One vector of length 1."""
        self.expect_tensor(vector, f"a vector{of}")
        self.expect(vector.ndim == 1, f"one vector{of}", f"shape {tuple(vector.shape)}")
        self.expect_shape(vector, tuple(vector.shape), f"vector{of}")
        norm = float(vector.norm())
        self.expect(abs(norm - 1) < 1e-3, f"a vector{of} of length 1", norm)

    def test_the_length_does_not_depend_on_the_photos(self) -> None:
        embedder: Embedder = self.make()
        height, width = self.size
        sizes = ((height, width + width // 2), (height + height // 2, width - 8))
        scenes = [
            *(self.scene(inputs=count) for count in (1, 2, 3, 9)),
            *(self.scene(size=size) for size in sizes),
        ]
        vectors = [embedder.embed(scene.images) for scene in scenes]
        for vector in vectors:
            self._unit(vector, " of other photos")
        lengths = {len(vector) for vector in vectors}
        self.expect(len(lengths) == 1, "one length for any number and size of photos", lengths)

    def test_flat_photos_have_a_finite_vector(self) -> None:
        flat = torch.zeros(2, 3, *self.size, device=self.device)
        for photos in (flat, flat + 1):
            self._unit(self.make().embed(photos), " of flat photos")

    def test_looks_at_more_than_the_first_input(self) -> None:
        embedder: Embedder = self.make()
        for count in (2, 5):
            first, second = (self.scene(seed, inputs=count).images for seed in (0, 1))
            mixed = torch.cat([first[:-1], second[-1:]])
            self.expect(
                not torch.equal(embedder.embed(first), embedder.embed(mixed)),
                f"another vector when the last of {count} photos is another",
                "the same vector",
            )

    def test_knows_photos_by_what_they_show(self) -> None:
        embedder: Embedder = self.make()
        images = self.scene(0).images.clone()
        other = 1 - 0.5 * self.scene(1).images
        self.expect_by_content(lambda: embedder.embed(images), images, other, "a vector")

    def test_requests_in_threads_equal_those_alone(self) -> None:
        embedder: Embedder = self.make()
        first, second = self.scene(0).images, self.scene(1).images
        self.expect_in_threads(
            [lambda: _embedded(embedder, first), lambda: _embedded(embedder, second)], "a vector"
        )


@torch.no_grad()
def _embedded(embedder: Embedder, images: Tensor) -> Tensor:
    return embedder.embed(images)
