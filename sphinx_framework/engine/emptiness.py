"""Targets that see nothing, or little, of what the regression stage made: told, or refused."""

from collections.abc import Sequence

from sphinx_framework.errors import SceneError
from sphinx_framework.types import CoarseViews, Scene

# A target whose mean opacity stays below this shows practically nothing.
EMPTY_OPACITY = 0.01
# Below this most of a frame is guessed: refined or not, frames of captures are far from the truth.
LITTLE_OPACITY = 0.4
_MOST_NAMED = 8


def said_of_emptiness(coarse: CoarseViews, scene: Scene, name: str) -> tuple[str, ...]:
    """Warnings that name the targets which see nothing, or little; none without opacity.

    name: of the regression component.

    Raises:
        SceneError: none of the targets sees anything.
    """
    if coarse.opacity is None:
        return ()
    means = coarse.opacity.float().mean((1, 2)).tolist()
    empty = [index for index, mean in enumerate(means) if mean < EMPTY_OPACITY]
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
    little = [i for i, m in enumerate(means) if EMPTY_OPACITY <= m < LITTLE_OPACITY]
    of = f"of {len(means)} targets see"
    said = []
    if empty:
        said.append(f"{len(empty)} {of} nothing of what {name} made of the inputs: {_named(empty)}")
    if little:
        said.append(
            f"{len(little)} {of} little of what {name} made of the inputs (mean opacity below "
            f"{LITTLE_OPACITY:g}): {_named(little)}; most of such a frame is guessed, photos in "
            "between would help"
        )
    return tuple(said)


def _named(targets: Sequence[int]) -> str:
    return ", ".join(map(str, targets[:_MOST_NAMED])) + (", ..." if targets[_MOST_NAMED:] else "")
