"""Kill import and render at random moments, and look at what is left.

    python benchmarks/kills.py path/to/scene --times 100

Prints a line per command: how many runs were stopped before their end, and what was wrong. Studies
go on where they were stopped, so that most of their runs would end at once: ``kill_study.py`` is
for them.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from kills import kill_at_random


def main() -> None:
    """Run every command; exit with 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--commands", default="import,render")
    parser.add_argument("--config", default="lite")
    arguments = parser.parse_args()
    program = str(Path(sys.executable).with_name("sphinx-nvs"))
    scene, use = str(arguments.scene), ["--config", arguments.config, "--device", "cpu"]
    wrong = False
    with tempfile.TemporaryDirectory() as name:
        for command in arguments.commands.split(","):
            out = Path(name, command)
            words = {"import": [scene], "render": [*use, "--scene", scene]}[command]
            fault = kill_at_random(
                [program, command, *words, "--out", str(out)],
                arguments.scene,
                out,
                arguments.times,
            )
            wrong = wrong or bool(fault.found)
            told = "; ".join(sorted(set(fault.found))) or "nothing wrong"
            print(
                f"{command}: {fault.stopped} of {arguments.times} runs stopped: {told}", flush=True
            )
    sys.exit(wrong)


if __name__ == "__main__":
    main()
