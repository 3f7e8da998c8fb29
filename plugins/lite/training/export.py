"""Copy averaged weights of finished runs into the package, as float16 safetensors.

python training/export.py --runs R            # what is there; random weights for the rest
python training/export.py --runs R --only denoiser --mean OLD.safetensors
python training/export.py --restate           # the same weights, what they say of themselves anew
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from statements import statement

from sphinx_framework_lite.autoencoder import Autoencoder
from sphinx_framework_lite.denoiser import Denoiser
from sphinx_framework_lite.depth import DepthNetwork
from sphinx_framework_lite.finisher import Finisher
from sphinx_framework_lite.likeness import Likeness
from sphinx_framework_lite.quality import GuardNetwork, QualityNetwork
from sphinx_framework_lite.weights import build

NETWORKS = {
    "depth": DepthNetwork,
    "autoencoder": Autoencoder,
    "denoiser": Denoiser,
    "finisher": Finisher,
    "quality": QualityNetwork,
    "likeness": Likeness,
    "guard": GuardNetwork,
}


def written(state: dict[str, torch.Tensor], folder: Path, name: str) -> Path:
    """Save a network with its statement."""
    path = folder / f"{name}.safetensors"
    save_file(state, path, metadata=statement(name))
    path.chmod(0o644)
    return path


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--restate", action="store_true")
    parser.add_argument("--only", nargs="*", default=list(NETWORKS))
    parser.add_argument("--mean", type=Path, help="average the run's weights with these")
    options = parser.parse_args()
    out = Path(__file__).parents[1] / "src" / "sphinx_framework_lite" / "weights"
    if options.restate:
        for name in options.only:
            written(load_file(out / f"{name}.safetensors"), out, name)
        return
    if options.runs is None:
        parser.error("--runs is missing")
    total = 0
    for name in options.only:
        source = options.runs / name / "weights.safetensors"
        if source.exists():
            state = load_file(source)
        else:
            state = build(NETWORKS[name], name, "random", torch.device("cpu")).state_dict()
        if options.mean is not None:
            other = load_file(options.mean)
            state = {k: (v.float() + other[k].float()) / 2 for k, v in state.items()}
        # Small differences of the scores' and the guard's features count: full precision.
        keep = torch.float32 if name in ("quality", "likeness", "guard") else torch.float16
        state = {k: v.to(keep).contiguous() for k, v in state.items()}
        size = written(state, out, name).stat().st_size
        total += size
        print(f"{name}: {'trained' if source.exists() else 'RANDOM'}, {size / 1e6:.2f} MB")
    print(f"{total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
