"""Cluster centres: from the rules, from a file, from an address by its sum, or from prompts."""

from collections.abc import Sequence
from importlib.resources import as_file
from typing import Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import ConfigError, WeightsError
from sphinx_framework.options import CheckpointOptions
from sphinx_framework.policy.rules import RuleFile
from sphinx_framework.protocols import Embedder
from sphinx_framework.weights import Source, read_tensor
from sphinx_framework_klogic.config import KLogicConfig

WHAT = "cluster centres"
WITHOUT_CENTRES = (
    "Give the file's path (steps.centres=PATH), use text prompts (steps.centres=prompts), or fix "
    "the cluster (steps.cluster=0)."
)


class TextEmbedder(Protocol):
    """An embedder that puts texts into the space of its images."""

    def embed_text(self, prompts: Sequence[str]) -> Float[Tensor, "P D"]:
        """Return one L2-normalised vector per prompt."""
        ...


def cluster_centres(
    config: KLogicConfig, source: RuleFile, embedder: Embedder
) -> Float[Tensor, "K D"]:
    """Unit centres, one per cluster of the rules, from where the options say.

    Raises :class:`WeightsError` when a file cannot be had or read, :class:`ConfigError` when the
    options do not fit the rules or the embedder.
    """
    clusters = source.rules.clusters
    prompts = config.prompts or clusters.prompts
    if config.centres == "prompts" or (config.prompts and config.centres == "rules"):
        centres = _from_prompts(prompts, embedder, source.where)
    elif config.centres != "rules":
        centres = _loaded(config.centres, config.centres_sha256)
    elif clusters.centres:
        centres = torch.tensor(clusters.centres)
    elif clusters.centres_file:
        with as_file(source.folder / clusters.centres_file) as path:
            centres = _loaded(str(path), clusters.centres_sha256)
    elif clusters.centres_url:
        centres = _loaded(clusters.centres_url, clusters.centres_sha256)
    else:
        centres = _from_prompts(prompts, embedder, source.where)
    wanted = source.rules.num_clusters
    if centres.shape[0] != wanted:
        raise ConfigError(
            f"{centres.shape[0]} cluster centres, but rules {source.where} have {wanted} clusters."
        )
    return functional.normalize(centres.detach().float().cpu(), dim=1)


def _from_prompts(prompts: Sequence[str], embedder: Embedder, where: str) -> Tensor:
    if not prompts:
        raise ConfigError(
            f"rules {where} have neither cluster centres nor prompts.",
            hint="Give steps.prompts, one text per cluster, or steps.centres=PATH.",
        )
    if not hasattr(embedder, "embed_text"):  # behind a guard a class tells nothing
        raise ConfigError(
            "the pipeline's embedder cannot embed text prompts.",
            hint="Use the clip embedder, or give steps.centres=PATH.",
        )
    return cast(TextEmbedder, embedder).embed_text(prompts)


def _loaded(where: str, sha256: str | None) -> Tensor:
    """Centres from a file or an address, checked."""
    path = Source(
        what=WHAT,
        weights=where,
        options=CheckpointOptions(weights_sha256=sha256 or None),
        names=("rules", "prompts"),
        hint=WITHOUT_CENTRES,
    ).path()
    centres = read_tensor(path, WHAT, hint=WITHOUT_CENTRES)
    if centres.ndim != 2 or not centres.is_floating_point() or not centres.isfinite().all():
        raise WeightsError(
            f"{WHAT}: {where} holds {centres.dtype} {tuple(centres.shape)} instead of finite "
            "numbers [clusters, length].",
            hint=WITHOUT_CENTRES,
        )
    return centres
