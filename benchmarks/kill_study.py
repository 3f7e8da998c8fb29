"""Kill ``calibrate`` and ``evaluate`` at random moments, and look at what is left.

Run: ``python benchmarks/kill_study.py --kills 100``. Models are the tests' stand-ins, so that kills
fall into reading, recording and writing; runs are forks of a process that has loaded everything.
After every kill: scenes and pipeline file are as they were, every file under a final name is
one that a whole run writes and can be parsed; every few kills and at the end, the next run ends
well, and a calibration gives the same rules.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from commands import FAKES, PIPELINE
from distributions import PluginFolder
from forks import forked

from sphinx_framework.cli.main import main as run_command
from sphinx_framework.output.scene_folder import from_scene, write_scene_folder
from sphinx_framework.testing.scenes import room_scene

QUALITY = ("--qualities", "0.9", "--device", "cpu")
FEW = ("--spacing", "2", "--steps", "1,every", "--min-samples", "3", "--min-scenes", "2")
EVERY = 3  # kills of runs into one folder, each of which goes on where the last was stopped


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content's digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def parsed(path: Path) -> None:
    """Parse a file by its ending; raises whatever the parser does."""
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".jsonl":
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    elif path.suffix == ".toml":
        tomllib.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".csv":
        list(csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True))
    elif path.suffix in (".pt", ".pth"):
        torch.load(path, weights_only=True)
    elif not path.read_bytes():
        raise ValueError("empty")


def half_files(out: Path, whole: set[str]) -> list[str]:
    """What is wrong with the files under final names: those without a dot in front."""
    wrong = []
    for name in digests(out) if out.is_dir() else ():
        if any(part.startswith(".") for part in name.split("/")):
            continue
        if name not in whole:
            wrong.append(f"{name}: no whole run writes it")
        try:
            parsed(out / name)
        except Exception as error:
            wrong.append(f"{name}: is half a file ({type(error).__name__}: {error})")
    return wrong


def ended(child: int) -> int:
    """The exit code of a fork."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_often(
    words: Callable[[Path], list[str]], place: Path, kills: int, chance: random.Random
) -> tuple[int, list[str]]:
    """How many runs were stopped, and everything that was wrong."""
    said, sources = place / "said", place / "sources"
    before = digests(sources)
    wrong: list[str] = []
    run_command(words(place / "first"))  # loads everything that the forks then have
    begun = time.perf_counter()
    if ended(forked(partial(run_command, words(place / "whole")), said)):
        return 0, [f"the first run: {said.read_text(errors='replace')[-300:]}"]
    took = time.perf_counter() - begun
    print(f"one run takes {took:.1f} s", flush=True)
    whole = digests(place / "whole")
    stopped, left = 0, took
    for turn in range(kills):
        out = place / f"out-{turn // EVERY}"
        left = took if turn % EVERY == 0 else left
        child = forked(partial(run_command, words(out)), said)
        waited = chance.uniform(0, left)
        time.sleep(waited)
        left = max(0.3 * took, left - waited)
        os.kill(child, signal.SIGKILL)
        stopped += ended(child) == -signal.SIGKILL
        wrong += [f"kill {turn}: {problem}" for problem in half_files(out, set(whole))]
        if digests(sources) != before:
            wrong.append(f"kill {turn}: a source file changed")
        if turn % EVERY == EVERY - 1 or turn == kills - 1:
            if ended(forked(partial(run_command, words(out)), said)):
                told = said.read_text(errors="replace")[-300:]
                wrong.append(f"the run after kill {turn}: {told}")
            wrong += [f"after kill {turn}: {problem}" for problem in half_files(out, set(whole))]
            rules = "rules.toml"
            if whole.get(rules) != digests(out).get(rules):
                wrong.append(f"after kill {turn}: other rules")
    return stopped, wrong


def main() -> int:
    """Kill as often as asked; print what went wrong, 1 if anything did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--commands", default="calibrate,evaluate")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    failed = False
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder = PluginFolder(place / "site")
        sys.path.insert(0, str(folder.path))
        folder.install("fakes", FAKES)
        os.environ["SPHINX_FRAMEWORK_PLUGINS"] = "fakes,klogic"
        config = place / "sources/pipeline.toml"
        for index in range(3):
            scene = place / f"sources/scenes/{index}"
            scene.mkdir(parents=True)
            write_scene_folder(scene, from_scene(room_scene(4, (16, 16), seed=index)))
        config.write_text(PIPELINE.replace("num_steps = 12", "num_steps = 4"))
        scenes = place / "sources/scenes"
        given = ["--config", str(config), *QUALITY]
        commands: dict[str, Callable[[Path], list[str]]] = {
            "calibrate": lambda out: [
                *("calibrate", *given, "--scenes", str(scenes), *FEW, "--bins", "2"),
                *("--samples", str(out / "samples"), "--out", str(out / "rules.toml")),
            ],
            "evaluate": lambda out: [
                *("evaluate", *given, "--scenes", str(scenes / "0"), "--energy", "none"),
                *("--few-steps", "2", "--modes", "fine", "--out", str(out)),
            ],
        }
        for command in arguments.commands.split(","):
            words = commands[command]
            chance = random.Random(arguments.seed)
            here = place / command
            here.mkdir()
            (here / "sources").symlink_to(place / "sources")
            stopped, wrong = killed_often(words, here, arguments.kills, chance)
            print(f"{command}: {stopped} of {arguments.kills} runs killed before their end")
            print("\n".join(wrong) if wrong else "no half file, no source touched, next runs work")
            failed = failed or bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
