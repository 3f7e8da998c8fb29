"""Run stages of the GPU kit as where only torch and the packages of ``wheels.txt`` are installed.

python tests/kit/bare_machine.py environment steps-seva
"""

import re
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = ROOT / "benchmarks"
LOOKING = "find_spec"  # who only asks whether a module is there is told that it is not


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.lower())


def with_requirements(names: list[str]) -> set[str]:
    """Distributions, and all that they require themselves, without extras."""
    found: set[str] = set()
    while names:
        name = plain(names.pop())
        if name in found:
            continue
        found.add(name)
        try:
            wanted = [line for line in requires(name) or [] if "extra ==" not in line]
        except PackageNotFoundError:
            continue  # of another system
        names += [re.match(r"[\w.-]+", line)[0] for line in wanted]
    return found


class Bare:
    """Finds no module of a distribution that is not on the list."""

    def __init__(self) -> None:
        lines = (HERE / "gpu" / "wheels.txt").read_text().splitlines()
        carried = {plain(line) for line in lines if line and not line.startswith("#")}
        self.known = carried | with_requirements(["torch"])
        self.owners = packages_distributions()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        owners = [plain(owner) for owner in self.owners.get(name.split(".")[0], [])]
        ours = any(owner.startswith("sphinx-framework") for owner in owners)
        if not owners or ours or self.known.intersection(owners):
            return
        if path is None and sys._getframe(2).f_code.co_name == LOOKING:
            return
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main() -> int:
    sys.meta_path.insert(0, Bare())  # type: ignore[arg-type]
    sys.path[:0] = [str(HERE / "gpu"), str(HERE)]
    import stage
    import torch

    with tempfile.TemporaryDirectory() as out:
        complete = [
            stage.run(name, Path(out), torch.device("cpu"), tiny=True) for name in sys.argv[1:]
        ]
    return 0 if complete and all(complete) else 1


if __name__ == "__main__":
    sys.exit(main())
