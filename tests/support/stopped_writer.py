"""Publish a generation of files into a folder, and die before the given file-system call."""

import os
import sys
from pathlib import Path

from sphinx_framework.folders.folder import OutputFolder

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def publish(place: Path, generation: str) -> None:
    with OutputFolder(place) as folder, folder.replacing(last="report.json") as new:
        (new / "frames").mkdir()
        for index in range(3 if generation == "old" else 2):
            (new / "frames" / f"{index:03d}.png").write_text(f"{generation} frame {index}")
        (new / "video.mp4").write_text(f"{generation} video")
        (new / "report.json").write_text(f"{generation} report")


def main() -> None:
    place, generation, calls = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    left = [calls]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and str(arguments[0]).startswith(str(place)):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)

    sys.addaudithook(hook)
    publish(place, generation)


if __name__ == "__main__":
    main()
