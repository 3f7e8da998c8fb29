"""Kill ``render`` with all outputs, or ``import``, at random moments, and look at what is left.

Run: ``python benchmarks/kill_render.py --kills 100 [--command import]``. After every kill: the
scene is as it was, and the output folder holds one whole result, the old or the new one, or none;
the next run works. Runs are forks of a process that has loaded everything, so that kills fall into
the work.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from forks import forked

from sphinx_framework.cli.main import main as run_command
from sphinx_framework.folders.manifest import MANIFEST, Manifest
from sphinx_framework.output.scene_folder import from_scene, write_scene_folder
from sphinx_framework.testing.scenes import room_scene

FAST = ("--mode", "regression", "--set", "size=[64,64]", "--device", "cpu", "--json")


def digests(folder: Path) -> dict[str, str]:
    """Every file of a folder with its content's digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".sphinx-partial" not in path.parts
    }


def rendered(scene: Path, out: Path, seed: int) -> int:
    """Render with everything that can be saved."""
    given = ["--scene", str(scene), "--out", str(out), "--save", "all", "--seed", str(seed)]
    return run_command(["render", "--config", "lite", *given, *FAST])


def imported(scene: Path, out: Path, seed: int) -> int:
    """Import with nothing to choose; there is no chance in it, so the seed is of no use."""
    return run_command(["import", str(scene), "--out", str(out)])


# What a run does, and the file that a whole result has.
COMMANDS = {"render": (rendered, "report.json"), "import": (imported, "transforms.json")}


def problems(out: Path, last: str) -> list[str]:
    """What is wrong with an output folder: a file that is not the manifest's, half results."""
    if not out.exists() or not digests(out):
        return []
    manifest = Manifest.model_validate_json((out / MANIFEST).read_bytes())
    found = digests(out)
    found.pop(MANIFEST)
    wrong = [
        f"{name}: not as the manifest lists it" for name in found if not manifest.claims(out, name)
    ]
    if not manifest.writing and not manifest.dropping:
        wrong += [f"{name}: listed and not there" for name in manifest.files if name not in found]
        if manifest.files and last not in found:
            wrong.append(f"files without {last}")
    if last in found:
        json.loads((out / last).read_text(encoding="utf-8"))
    return wrong


def main() -> int:
    """Kill as often as asked; print what went wrong, 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", choices=COMMANDS, default="render")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    chance = random.Random(arguments.seed)
    run, last = COMMANDS[arguments.command]

    def started(seed: int) -> int:
        """One run in a fork; what it says goes to a file. Its process id."""
        return forked(partial(run, scene, out, seed), said)

    with tempfile.TemporaryDirectory() as place:
        scene, out = Path(place, "scene"), Path(place, "out")
        scene.mkdir()
        write_scene_folder(scene, from_scene(room_scene(5, (64, 64))))
        before = digests(scene)
        said = Path(place, "said")
        run(scene, out, 0)
        begun = time.perf_counter()
        os.waitpid(started(0), 0)
        whole = time.perf_counter() - begun
        print(f"one run takes {whole:.2f} s; it leaves {len(digests(out))} files", flush=True)
        wrong, killed, unfinished = [], 0, 0
        for turn in range(1, arguments.kills + 1):
            # Half of the kills fall into the last part, where files are written.
            share = chance.uniform(0.5, 1.1) if turn % 2 else chance.uniform(0, 1)
            child = started(turn)
            time.sleep(share * whole)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            killed += os.WIFSIGNALED(status)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status):
                wrong.append(f"run {turn}: {said.read_text(errors='replace')[-300:]}")
            unfinished += (out / ".sphinx-partial").exists()
            wrong += [f"kill {turn}: {problem}" for problem in problems(out, last)]
            if digests(scene) != before:
                wrong.append(f"kill {turn}: the scene has changed")
        os.waitpid(started(0), 0)
        if problems(out, last) or (out / ".sphinx-partial").exists():
            wrong.append(f"the run after them: {said.read_text(errors='replace')[-300:]}")
    print(f"{killed} of {arguments.kills} runs killed, {unfinished} left something unfinished")
    print("\n".join(wrong) if wrong else "every folder whole, no scene touched, the next run works")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
