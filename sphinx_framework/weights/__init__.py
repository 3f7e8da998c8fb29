"""One road for weights: from what the options say to a file, its tensors, and into a network."""

from sphinx_framework.weights.fill import DTYPES, frozen, load_strictly, randomise, require_fit
from sphinx_framework.weights.hub import commit_of, first_line, hub_file
from sphinx_framework.weights.libraries import ensure_torchvision_imports, library
from sphinx_framework.weights.read import check_sha256, read_tensor, read_tensors
from sphinx_framework.weights.source import Pin, Source

__all__ = [
    "DTYPES",
    "Pin",
    "Source",
    "check_sha256",
    "commit_of",
    "ensure_torchvision_imports",
    "first_line",
    "frozen",
    "hub_file",
    "library",
    "load_strictly",
    "randomise",
    "read_tensor",
    "read_tensors",
    "require_fit",
]
