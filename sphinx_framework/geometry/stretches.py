"""Splits a scene's targets into clips along the path, for video models of a limited length.

A clip starts and ends at clean views with a smooth path in between. Targets between the same two
inputs form a stretch. A stretch that is too long is made in two rounds: first evenly spread
anchors, then the gaps between them, with the anchors as clean views.
"""

from collections import defaultdict
from dataclasses import replace

from sphinx_framework.geometry.brackets import brackets
from sphinx_framework.types import ClipLayout, Scene, Slot

# Two ends and a frame between them.
SHORTEST_CLIP = 3


def clips_along_the_path(scene: Scene, clip_frames: int) -> tuple[ClipLayout, ...]:
    """Clips of at most ``clip_frames`` frames, three or more, that make every target once."""
    clips: list[ClipLayout] = []
    for stretch in stretches(scene):
        for slots in split(stretch, clip_frames):
            notes: tuple[str, ...] = ()
            if len(slots) != clip_frames:
                notes = (f"a clip has {len(slots)} frames; the model was trained on {clip_frames}",)
            clips.append(ClipLayout(slots=slots, notes=notes))
    return tuple(clips)


def stretches(scene: Scene) -> list[tuple[Slot, ...]]:
    """Per pair of bracketing inputs: the first, the targets along the way, the other.

    With a single input there is no other: the path leads away from it in the order given.
    """
    groups: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
    for target, bracket in enumerate(brackets(scene)):
        groups[bracket.left, bracket.right].append((bracket.position, target))
    found = []
    for (left, right), members in sorted(groups.items()):
        targets = [Slot(kind="target", index=target) for _, target in sorted(members)]
        ends = [Slot(kind="input", index=right)] if right != left else []
        found.append((Slot(kind="input", index=left), *targets, *ends))
    return found


def split(stretch: tuple[Slot, ...], clip_frames: int) -> list[tuple[Slot, ...]]:
    """Cut a stretch whose ends are clean once the first clip is made, into clips in running order.

    Every target is made by exactly one clip; later clips hold it as given.

    Raises:
        ValueError: clips of two frames, which have no room between their ends.
    """
    if clip_frames < SHORTEST_CLIP:
        raise ValueError(f"clips need at least {SHORTEST_CLIP} frames, not {clip_frames}")
    count = len(stretch)
    if count <= clip_frames:
        return [stretch]
    anchors = [round(i * (count - 1) / (clip_frames - 1)) for i in range(clip_frames)]
    clips = [tuple(stretch[i] for i in anchors)]
    made = [
        replace(slot, given=True) if i in set(anchors) and slot.kind == "target" else slot
        for i, slot in enumerate(stretch)
    ]
    start = 0
    while start < len(anchors) - 1:
        stop = start + 1
        while stop + 1 < len(anchors) and anchors[stop + 1] - anchors[start] < clip_frames:
            stop += 1
        window = tuple(made[anchors[start] : anchors[stop] + 1])
        if any(slot.kind == "target" and not slot.given for slot in window):
            clips.extend(split(window, clip_frames))
        start = stop
    return clips
