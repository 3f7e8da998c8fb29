"""Cluster centres: from the rule file, from a file, from the network by hash, or from prompts."""

import hashlib
import io
import logging
from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor
from torch.nn import functional

from sphinx_framework.errors import ConfigError, WeightsError
from sphinx_framework.policy.rules import RuleFile
from sphinx_framework.protocols import Embedder
from sphinx_framework_klogic.config import KLogicConfig

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
        centres = _parsed(_read(Path(config.centres)), config.centres)
    elif clusters.centres:
        centres = torch.tensor(clusters.centres)
    elif clusters.centres_file:
        data = _read(source.folder / clusters.centres_file)
        centres = _parsed(data, clusters.centres_file, clusters.centres_sha256)
    elif clusters.centres_url:
        path = _fetched(clusters.centres_url, clusters.centres_sha256)
        centres = _parsed(path.read_bytes(), clusters.centres_url)
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


def _read(path: Traversable) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"cluster centres {path}: cannot be read ({error.strerror}).", hint=WITHOUT_CENTRES
        ) from None


def _parsed(data: bytes, name: str, sha256: str = "") -> Tensor:
    """Centres from the bytes of a .npy or .safetensors file, checked."""
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"cluster centres {name}: the file is not the one the rules name.")
    try:
        if name.endswith(".npy"):
            centres = torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))
        else:
            (centres,) = load_safetensors(data).values()
    except (ValueError, TypeError, SafetensorError, EOFError) as error:
        raise WeightsError(
            f"cluster centres {name}: not a .npy or .safetensors file of one array ({error})."
        ) from None
    if centres.ndim != 2 or not centres.is_floating_point() or not centres.isfinite().all():
        raise WeightsError(
            f"cluster centres {name}: expected finite numbers [clusters, length], got "
            f"{centres.dtype} {tuple(centres.shape)}."
        )
    return centres


def _fetched(url: str, sha256: str) -> Path:
    """Path of the cached download; the network is used only the first time."""
    import pooch
    from requests.exceptions import RequestException

    pooch.get_logger().setLevel(logging.WARNING)
    try:
        path: str = pooch.retrieve(
            url, known_hash=f"sha256:{sha256}", path=pooch.os_cache("sphinx-framework")
        )
    except (RequestException, OSError, ValueError) as error:
        raise WeightsError(
            f"cluster centres cannot be fetched from {url} ({type(error).__name__}).",
            hint=WITHOUT_CENTRES,
        ) from None
    return Path(path)
