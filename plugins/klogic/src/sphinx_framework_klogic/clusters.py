"""The cluster of a scene: nearest centre in cosine, with its margin."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The nearest cluster.

    cosine: of the embedding with that centre; margin: over the second nearest (0 for one centre).
    candidates: all clusters within the margin asked for, the nearest first.
    """

    cluster: int
    cosine: float
    margin: float
    candidates: tuple[int, ...]


def nearest(
    embedding: Float[Tensor, " D"], centres: Float[Tensor, "K E"], min_margin: float = 0.0
) -> Choice:
    """Choose the centre of largest cosine; raises :class:`ConfigError` when the lengths differ."""
    if embedding.shape[0] != centres.shape[1]:
        raise ConfigError(
            f"the scene embedding has {embedding.shape[0]} values, the cluster centres have "
            f"{centres.shape[1]}.",
            hint="Use the embedder that the centres were made with ([pipeline.embedder]).",
        )
    cosines = functional.normalize(centres.float(), dim=1) @ functional.normalize(
        embedding.detach().float().to(centres.device), dim=0
    )
    ordered = cosines.argsort(descending=True, stable=True).tolist()
    best = float(cosines[ordered[0]])
    margin = best - float(cosines[ordered[1]]) if len(ordered) > 1 else 0.0
    near = [i for i in ordered[1:] if best - float(cosines[i]) < min_margin]
    return Choice(cluster=ordered[0], cosine=best, margin=margin, candidates=(ordered[0], *near))
