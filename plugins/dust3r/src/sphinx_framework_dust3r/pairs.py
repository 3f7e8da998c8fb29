"""Which photos are paired, and what the network says about the pairs."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sphinx_framework.errors import ConfigError
from sphinx_framework_dust3r.network.pair_network import EncodedImages, PairNetwork

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPredictions:
    """Pointmaps of ordered pairs (i, j) of images of one size; row ``e`` is pair ``edges[e]``.

    first_points: of image i, second_points: of image j, **both in the camera frame of image i**,
        OpenCV axes, each pair with an arbitrary scale.
    first_confidence, second_confidence: 1 and above.
    """

    edges: tuple[Edge, ...]
    first_points: Float[Tensor, "E H W 3"]
    first_confidence: Float[Tensor, "E H W"]
    second_points: Float[Tensor, "E H W 3"]
    second_confidence: Float[Tensor, "E H W"]

    @property
    def num_images(self) -> int:
        """Number of images that the pairs connect."""
        return max(max(edge) for edge in self.edges) + 1

    @property
    def image_size(self) -> tuple[int, int]:
        """``(height, width)`` of the pointmaps."""
        return self.first_points.shape[1], self.first_points.shape[2]

    @property
    def scores(self) -> Float[Tensor, " E"]:
        """Mean confidence of the first view times that of the second."""
        return self.first_confidence.mean((1, 2)) * self.second_confidence.mean((1, 2))

    def image_confidence(self) -> Float[Tensor, "N H W"]:
        """Largest confidence of every pixel over all pairs that show its image."""
        best = self.first_confidence.new_zeros(self.num_images, *self.image_size)
        for row, (i, j) in enumerate(self.edges):
            best[i] = torch.maximum(best[i], self.first_confidence[row])
            best[j] = torch.maximum(best[j], self.second_confidence[row])
        return best


def pair_graph(count: int, graph: str) -> tuple[Edge, ...]:
    """Ordered pairs of ``count`` images, both orders of each; one image is paired with itself.

    graph: ``complete``; ``swin-K``: each image with the K that follow; ``logwin-K``: with those 1,
    2, 4, ... ``2**(K-1)`` places on; ``oneref-R``: all with image R.

    Raises:
        ConfigError: the reference image does not exist.
    """
    if count == 1:
        return ((0, 0),)
    kind, _, number = graph.partition("-")
    if kind == "complete":
        forward = [(i, j) for i in range(count) for j in range(i)]
    elif kind == "oneref":
        reference = int(number)
        if reference >= count:
            raise ConfigError(
                f"pairs = {graph!r}: there is no photo {reference} among {count}.",
                hint="Photos are counted from 0.",
            )
        forward = [(reference, j) for j in range(count) if j != reference]
    else:
        places = range(int(number))
        steps = [2**k if kind == "logwin" else k + 1 for k in places]
        forward = [(i, i + step) for i in range(count) for step in steps if i + step < count]
    return (*forward, *((j, i) for i, j in forward))


@torch.no_grad()
def predict_pairs(
    network: PairNetwork,
    images: Float[Tensor, "N 3 H W"],
    edges: tuple[Edge, ...],
    *,
    batch: int = 1,
) -> PairPredictions:
    """Encode every image once, then decode the pairs ``batch`` at a time.

    images: values in [-1, 1], sides multiples of the patch size.
    """
    # Attention memory grows with the batch; images go through the encoder as pairs do.
    encoded = [network.encode(chunk) for chunk in images.split(batch)]
    tokens = torch.cat([chunk.tokens for chunk in encoded])
    everything = EncodedImages(tokens=tokens, grid=encoded[0].grid)
    outputs = []
    for start in range(0, len(edges), batch):
        rows = edges[start : start + batch]
        first, second = everything[[i for i, _ in rows]], everything[[j for _, j in rows]]
        outputs.append(network.decode(first, second))
    return PairPredictions(
        edges=edges,
        first_points=torch.cat([output.first_points for output in outputs]),
        first_confidence=torch.cat([output.first_confidence for output in outputs]),
        second_points=torch.cat([output.second_points for output in outputs]),
        second_confidence=torch.cat([output.second_confidence for output in outputs]),
    )
