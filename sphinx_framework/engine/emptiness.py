"""Targets that see nothing of what the regression stage made: told, or refused where all are."""

from sphinx_framework.errors import SceneError
from sphinx_framework.types import CoarseViews, Scene

# A target whose mean opacity stays below this shows practically nothing.
EMPTY_OPACITY = 0.01
_MOST_NAMED = 8


def said_of_emptiness(coarse: CoarseViews, scene: Scene, name: str) -> tuple[str, ...]:
    """One warning that names the targets which see nothing; none without opacity.

    name: of the regression component.

    Raises:
        SceneError: none of the targets sees anything.
    """
    if coarse.opacity is None:
        return ()
    means = coarse.opacity.float().mean((1, 2))
    empty = [int(index) for index in (means < EMPTY_OPACITY).nonzero()[:, 0]]
    if not empty:
        return ()
    if len(empty) == len(means):
        depths = ""
        if scene.near is not None and scene.far is not None:
            depths = f" at depths of {scene.near:g} to {scene.far:g} scene units"
        told = f" ({'; '.join(coarse.warnings)})" if coarse.warnings else ""
        raise SceneError(
            f"none of the {len(means)} targets sees anything of what {name} made of the "
            f"inputs{depths}: they look away from it, it lies behind them, or depth range or scale "
            f"are not those of the scene{told}.",
            hint="Check where the targets stand and look (OpenCV axes: z forward, y down; "
            f"--convention), --near and --far, and the options of {name!r}.",
        )
    named = ", ".join(map(str, empty[:_MOST_NAMED])) + (", ..." if empty[_MOST_NAMED:] else "")
    return (
        f"{len(empty)} of {len(means)} targets see nothing of what {name} made of the inputs: "
        f"{named}",
    )
