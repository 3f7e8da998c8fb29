"""Operations and peak bytes of one photo at the official size, and its seconds with ``--seconds``.

Operations (2 per multiply-add) are counted on the meta device; peak bytes are the most that live
at once in fake tensors, storages counted once: weights, and what a forward pass adds to them.
Neither computes anything. ``--seconds`` runs one pass with random weights.

Run: ``python plugins/sharp/benchmarks/cost.py --seconds``.
"""

import argparse
import json
import resource
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from sphinx_framework_sharp.config import NetworkConfig, SharpConfig
from sphinx_framework_sharp.network import SharpNetwork
from sphinx_framework_sharp.weights import load_weights

TERA, GIBI = 1e12, 2**30
GROUPS = {
    "patch encoder": "monodepth_model.monodepth_predictor.encoder.patch_encoder",
    "image encoder": "monodepth_model.monodepth_predictor.encoder.image_encoder",
    "depth decoder": "monodepth_model.monodepth_predictor.decoder",
    "depth head": "monodepth_model.monodepth_predictor.head",
    "Gaussian decoder": "feature_model",
}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages made while it is on, and the most that lived at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and look at what it made."""
        before = {
            leaf.untyped_storage()._cdata
            for leaf in tree_flatten((args, kwargs or {}))[0]
            if isinstance(leaf, Tensor)
        }
        out = func(*args, **(kwargs or {}))
        for leaf in tree_flatten(out)[0]:
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage(), before)
        return out

    def _add(self, storage: Any, before: set[int]) -> None:
        key = storage._cdata
        if key in self._known or key in before:
            return
        size = storage.nbytes()
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def main(arguments: list[str] | None = None) -> None:
    """Count, and print a table; ``--json`` writes the numbers too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="{}", help="sizes of the network as JSON")
    parser.add_argument("--seconds", action="store_true", help="run one pass and time it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    sizes = NetworkConfig.model_validate_json(options.network)
    told = {"pixels": sizes.image_size, **operations(sizes), **memory(sizes)}
    if options.seconds:
        told |= seconds(sizes)
    for name, value in told.items():
        sys.stdout.write(f"| {name} | {value:.4g} |\n")
    if options.json is not None:
        options.json.write_text(json.dumps(told))


def operations(sizes: NetworkConfig) -> dict[str, float]:
    """TFLOP of one photo, whole and by part."""
    with torch.device("meta"):
        network = built(sizes)
        inputs = photo(sizes)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    counts = counter.get_flop_counts()
    parts = {
        f"TFLOP, {name}": sum(counts[f"SharpNetwork.{module}"].values()) / TERA
        for name, module in GROUPS.items()
    }
    return {"TFLOP": counter.get_total_flops() / TERA, **parts}


def memory(sizes: NetworkConfig) -> dict[str, float]:
    """GiB of the weights that rendering keeps, and the most of everything at once."""
    with FakeTensorMode(), torch.no_grad():
        network = built(sizes)
        weights = sum(p.numel() * p.element_size() for p in network.parameters())
        inputs = photo(sizes)
        with LiveBytes() as live:
            made = network(*inputs)
        del made
    given = sum(value.numel() * value.element_size() for value in inputs)
    return {"GiB, weights": weights / GIBI, "GiB, peak": (weights + given + live.peak) / GIBI}


def seconds(sizes: NetworkConfig) -> dict[str, float]:
    """Wall and processor seconds of one pass with random weights, and the process' peak."""
    with torch.device("meta"):
        network = SharpNetwork(sizes)
    load_weights(network, SharpConfig(weights="random", network=sizes))
    network.drop_unused()
    network.eval().requires_grad_(False)
    inputs = photo(sizes)
    wall, processor = time.perf_counter(), time.process_time()
    with torch.no_grad():
        made = network(*inputs)
    return {
        "s, wall": time.perf_counter() - wall,
        "s, processor": time.process_time() - processor,
        "threads": torch.get_num_threads(),
        "GiB, peak of the process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "Gaussians": made.means.shape[1],
    }


def built(sizes: NetworkConfig) -> nn.Module:
    """The network as it renders, on the device in force."""
    network = SharpNetwork(sizes)
    network.drop_unused()
    return network.eval().requires_grad_(False)


def photo(sizes: NetworkConfig) -> tuple[Tensor, Tensor]:
    """Image and focal length over width."""
    side = sizes.image_size
    return torch.rand(1, 3, side, side), torch.ones(1)


if __name__ == "__main__":
    main()
