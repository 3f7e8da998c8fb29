"""Opening the output folder of a command."""

import sys
from collections.abc import Sequence

from sphinx_framework.folders.folder import OutputFolder


def open_output(
    out: str,
    *,
    scenes: Sequence[str] = (),
    files: Sequence[str | None] = (),
    option: str = "--out",
    holds: str,
) -> OutputFolder:
    """Check and hold the output folder, and say on stderr what a killed run had left there.

    holds: what the command writes, in words. scenes, files: what it reads, as typed; names of
    nothing on disk are ignored.
    """
    read = [file for file in files if file]
    folder = OutputFolder(out, option=option, holds=holds, scenes=scenes, files=read)
    for note in folder.found:
        print(f"note: {folder.path}: {note}", file=sys.stderr)
    return folder
