"""What makes the clips of a request a whole: every target made once, nothing given too early."""

from typing import Any

from sphinx_framework.types import ClipLayout


def layout_problem(layouts: Any, inputs: int, targets: int) -> tuple[str, str] | None:
    """What came and what was expected, or ``None`` where the layouts are sound."""
    if not isinstance(layouts, tuple | list) or not all(
        isinstance(layout, ClipLayout) for layout in layouts
    ):
        return f"{layouts!r:.80}", "a tuple of ClipLayout"
    made: set[int] = set()
    for number, layout in enumerate(layouts):
        where = f"clip {number}"
        if len(layout) == 0:
            return f"{where} without a slot", "clips with at least one frame"
        own: set[int] = set()
        for slot in layout.slots:
            if slot.kind not in ("input", "target"):
                return f"{where}: a slot of kind {slot.kind!r}", "'input' or 'target'"
            count = inputs if slot.kind == "input" else targets
            if not 0 <= slot.index < count:
                return f"{where}: {slot.kind} {slot.index}", f"{slot.kind}s 0..{count - 1}"
            if slot.kind == "input":
                continue
            if slot.given:
                if slot.index not in made:
                    return (
                        f"{where}: target {slot.index} is given before it is made",
                        "given targets that an earlier clip makes",
                    )
            elif slot.index in made or slot.index in own:
                return f"{where}: target {slot.index} is made twice", "every target made once"
            else:
                own.add(slot.index)
        made |= own
    missing = sorted(set(range(targets)) - made)
    if missing:
        return f"no clip makes targets {missing}", "every target made once"
    return None
