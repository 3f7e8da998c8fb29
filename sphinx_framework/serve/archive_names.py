"""Names in archives: safe ones, or the whole archive is refused."""

import re
import unicodedata

from sphinx_framework.serve.problems import Problem, clean

LONGEST, DEEPEST = 240, 8
ENDINGS = (".json", ".png", ".jpg", ".jpeg", ".webp")
_DRIVE = re.compile(r"^[A-Za-z]:")


def check_name(name: str) -> str:
    """A member's name without its last slash; :class:`Problem` when it could lead elsewhere."""
    bare = name.removesuffix("/")
    while bare.startswith("./"):
        bare = bare[2:]
    parts = bare.split("/")
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise unsafe(name, "is not UTF-8") from None
    reasons = {
        "is absolute": name.startswith("/"),
        "leads out of the folder": ".." in parts,
        "has a backslash": "\\" in name,
        "has a drive letter": any(_DRIVE.match(part) for part in parts),
        "has control characters": any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name),
        f"is longer than {LONGEST} bytes": size > LONGEST,
        f"is deeper than {DEEPEST} folders": len(parts) > DEEPEST,
        "is empty in part": bare not in ("", ".") and any(p in ("", ".") for p in parts),
    }
    for reason, found in reasons.items():
        if found:
            raise unsafe(name, reason)
    return "" if bare == "." else bare


class Names:
    """The names of an archive so far: none twice, case aside, and no file is a folder."""

    def __init__(self) -> None:
        """No names yet."""
        self._seen: dict[str, bool] = {}

    def add(self, name: str, *, folder: bool) -> None:
        """Take a checked name; raises :class:`Problem` when it clashes with one before."""
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded == "":
            return
        if folded in self._seen and not (folder and self._seen[folded]):
            raise unsafe(name, "occurs twice, or is a file and a folder")
        parts = folded.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if self._seen.get(above) is False:
                raise unsafe(name, "lies in another member that is a file")
            self._seen[above] = True
        self._seen[folded] = folder


def wanted(name: str) -> bool:
    """Whether a file is unpacked: of a scene's types, and not hidden."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return not hidden and name.lower().endswith(ENDINGS)


def unsafe(name: str, reason: str) -> Problem:
    """The problem of a member."""
    return Problem("archive-unsafe", f"The member {clean(name, 100)!r} {reason}.")
