"""What makes the clips of a request a whole: every target made once, nothing given too early."""

from typing import Any

from sphinx_framework.types import ClipLayout

Problem = tuple[str, str]


def layout_problem(
    layouts: Any, inputs: int, targets: int, max_frames: int | None = None
) -> Problem | None:
    """What came and what was expected, or ``None`` where the layouts are sound.

    max_frames: the longest clip that the model's capabilities claim.
    """
    if not isinstance(layouts, tuple | list) or not all(
        isinstance(layout, ClipLayout) for layout in layouts
    ):
        return f"{layouts!r:.80}", "a tuple of ClipLayout"
    made: set[int] = set()
    for number, layout in enumerate(layouts):
        if max_frames is not None and len(layout) > max_frames:
            return f"clip {number} of {len(layout)} frames", f"at most max_frames = {max_frames}"
        problem = _clip_problem(layout, {"input": inputs, "target": targets}, made)
        if problem is not None:
            return f"clip {number}: {problem[0]}", problem[1]
        made |= set(layout.targets.values())
    missing = sorted(set(range(targets)) - made)
    if missing:
        return f"no clip makes targets {missing}", "every target made once"
    return None


def _clip_problem(layout: ClipLayout, counts: dict[str, int], made: set[int]) -> Problem | None:
    """The same for one clip; ``made``: targets of the clips before it."""
    if len(layout) == 0:
        return "no slot", "clips with at least one frame"
    own: set[int] = set()
    for slot in layout.slots:
        if slot.kind not in counts:
            return f"a slot of kind {slot.kind!r}", "'input' or 'target'"
        count = counts[slot.kind]
        if type(slot.index) is not int:
            return f"{slot.kind} {slot.index!r}", f"{slot.kind}s 0..{count - 1}, as int"
        if not 0 <= slot.index < count:
            return f"{slot.kind} {slot.index}", f"{slot.kind}s 0..{count - 1}"
        if slot.kind == "input":
            continue
        if slot.given:
            if slot.index not in made:
                given = "given targets that an earlier clip makes"
                return f"target {slot.index} is given before it is made", given
        elif slot.index in made or slot.index in own:
            return f"target {slot.index} is made twice", "every target made once"
        else:
            own.add(slot.index)
    if not _of_positions(layout.latents):
        return f"latents {layout.latents!r:.80}", "a tuple of slots for each latent, or None"
    held = sorted(position for slots in layout.held for position in slots)
    if held != list(range(len(layout))) or not all(layout.held):
        return f"latents that hold slots {held}", "each slot in exactly one latent"
    return None


def _of_positions(latents: Any) -> bool:
    return latents is None or (
        isinstance(latents, tuple | list)
        and all(
            isinstance(slots, tuple | list) and all(type(slot) is int for slot in slots)
            for slots in latents
        )
    )
