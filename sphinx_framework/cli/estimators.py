"""Which pose estimator photos without cameras get."""

from sphinx_framework.errors import SceneError, shown
from sphinx_framework.registry import Registry

# Needs no weights; every other one is asked for by name.
DEFAULT = "colmap"


def choose_estimator(wanted: str | None, registry: Registry) -> str:
    """The name of the estimator to use.

    Raises:
        SceneError: none is named, and the default one is not installed.
    """
    if wanted is not None:
        return wanted
    names = registry.names("poses")
    if DEFAULT in names:
        return DEFAULT
    others = f", or choose --poses {' or --poses '.join(names)}" if names else ""
    raise SceneError(
        "the photos have no cameras, and no pose estimator is installed that needs no weights.",
        hint=f"Run: pip install sphinx-framework-{DEFAULT}{others}.",
    )


def refuse_posed(scene: object, wanted: str) -> None:
    """Say that a pose estimator was asked for where nothing is to be estimated."""
    raise SceneError(
        f"--poses {shown(wanted)}: {shown(scene)} is no folder of photos without cameras, and no "
        "video.",
        hint="Leave --poses out; to estimate cameras anew, give a folder of the photos alone.",
    )
