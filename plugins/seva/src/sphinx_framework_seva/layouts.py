"""Which frames run together: the slots of every pass of a request."""

import torch

from sphinx_framework.types import ClipLayout, Scene, Slot
from sphinx_framework_seva.chunking import Chunk, Frames, anchor_count, chunked
from sphinx_framework_seva.config import SevaConfig

ONE_INPUT = (
    "with one input the scale of the scene is unknown to SEVA: if the camera seems to move too "
    "little or too much, change diffusion.camera_scale (0.1 to 2; up to 10 for pans)"
)


def clip_layouts(scene: Scene, config: SevaConfig) -> tuple[ClipLayout, ...]:
    """One clip where everything fits, else chunks by ``config.chunking``.

    Slot 0 is a conditioning frame, which sets scale and Pluecker axes; the other conditioning
    frames follow the targets. Clips may be shorter than ``clip_frames``.

    Raises:
        ConfigError: the inputs leave no room for targets.
    """
    inputs, targets = len(scene.inputs), len(scene.targets)
    notes = (ONE_INPUT,) if inputs == 1 else ()
    if inputs + targets <= config.clip_frames:
        slots = [Slot(kind="input", index=i) for i in range(inputs)]
        made = [Slot(kind="target", index=i) for i in range(targets)]
        return (ClipLayout(slots=(slots[0], *made, *slots[1:]), notes=notes),)
    if config.chunking.startswith("interp"):
        layouts = _through_anchors(scene, config)
    else:
        frames = Frames(
            given=scene.inputs.world_from_camera,
            targets=scene.targets.world_from_camera,
            originals=tuple(range(inputs)),
        )
        chunks = chunked(config.chunking, config.clip_frames, frames)
        layouts = tuple(_layout(c, range(inputs), range(targets), range(targets)) for c in chunks)
    counted = f"{targets} targets run in {len(layouts)} passes (chunking {config.chunking!r})"
    first = ClipLayout(slots=layouts[0].slots, notes=(*notes, counted))
    return (first, *layouts[1:])


def _through_anchors(scene: Scene, config: SevaConfig) -> tuple[ClipLayout, ...]:
    """Two passes: anchors spread over the targets, then the targets between them."""
    inputs, targets = len(scene.inputs), len(scene.targets)
    count, window = anchor_count(
        config.chunking, inputs, targets, config.clip_frames, ratio=config.anchor_ratio
    )
    spread = torch.linspace(0, targets - 1, min(count, targets)).round().long()
    anchors = sorted(set(spread.tolist()))
    poses = scene.targets.world_from_camera
    first = chunked(
        "gt-nearest",
        window,
        Frames(
            given=scene.inputs.world_from_camera,
            targets=poses[anchors],
            originals=tuple(range(inputs)),
        ),
    )
    layouts = [_layout(chunk, range(inputs), anchors, anchors) for chunk in first]
    rest = [target for target in range(targets) if target not in anchors]
    if not rest:
        return tuple(layouts)
    target_order = scene.order[inputs:] if scene.order else tuple(float(i) for i in range(targets))
    # Without a known order, inputs have no place along the targets: anchors alone bound them.
    input_order = scene.order[:inputs] if scene.order else (None,) * inputs
    frames = Frames(
        given=torch.cat([scene.inputs.world_from_camera, poses[anchors]]),
        targets=poses[rest],
        originals=tuple(range(inputs)),
        given_order=(*input_order, *(target_order[i] for i in anchors)),
        target_order=tuple(target_order[i] for i in rest),
    )
    second = chunked(config.chunking, config.clip_frames, frames, whole=True)
    layouts += [_layout(chunk, range(inputs), rest, anchors) for chunk in second]
    return tuple(layouts)


def _layout(
    chunk: Chunk, inputs: range, made: range | list[int], finished: range | list[int]
) -> ClipLayout:
    """Slots of a chunk: its first conditioning frame, its targets, its other ones.

    made, finished: target numbers behind the chunk's targets and its finished targets.
    """
    given = [
        Slot(kind="input", index=member.index)
        if member.index < len(inputs)
        else Slot(kind="target", index=finished[member.index - len(inputs)], given=True)
        for member in chunk
        if member.given
    ]
    own = [Slot(kind="target", index=made[m.index]) for m in chunk if not m.given]
    return ClipLayout(slots=(given[0], *own, *given[1:]))
