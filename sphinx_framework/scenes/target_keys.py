"""Which text names a file of targets, and the keys by which its kinds are told apart.

Without torch: the client and the server go by the same rules.
"""

from sphinx_framework.errors import SceneError
from sphinx_framework.scenes.json_fields import Fields

FRAMES, TARGETS, PATH_KEY, KEYFRAMES = "frames", "targets", "camera_path", "keyframes"
# What nerfstudio's viewer did to the world of a path, in a file beside it.
VIEWER_FILE = "dataparser_transforms.json"


def names_target_file(text: str) -> bool:
    """Whether a target specification is the name of a file."""
    return text.lower().endswith(".json")


def check_target_keys(top: Fields, convention: str) -> None:
    """Refuse a file that is of no kind, saying what the kinds have.

    Raises:
        SceneError: none of the keys that hold cameras.
    """
    if any(key in top for key in (FRAMES, TARGETS, PATH_KEY, KEYFRAMES)):
        return
    unnamed = convention == "auto" and "convention" not in top
    raise SceneError(
        f"{top.where}: the key 'convention' is missing, and there are no targets."
        if unnamed
        else f"{top.where}: has no targets.",
        hint=f"A target file has {FRAMES!r} as transforms.json has, {TARGETS!r} and 'convention' "
        f"as cameras.json has, {PATH_KEY!r} of nerfstudio's viewer, or {KEYFRAMES!r}.",
    )
