"""Splits a scene's targets into clips of the model's one length, from photo to photo.

The network takes exactly two photos, at the ends of a clip whose number of frames is fixed (spec
section 7). Targets between the same two photos form a stretch; one with more targets than fit is
dealt out, every n-th target to a clip, so that each clip leads the whole way at an even pace.
"""

from sphinx_framework.errors import CapabilityError
from sphinx_framework.geometry.stretches import stretches
from sphinx_framework.types import ClipLayout, Scene


def layouts(scene: Scene, frames: int, frames_per_latent: int) -> tuple[ClipLayout, ...]:
    """Clips of exactly ``frames`` frames that make every target once.

    Raises:
        CapabilityError: a scene of a single photo.
    """
    if len(scene.inputs) < 2:
        raise CapabilityError(
            "VideoScene needs two photos, at the ends of the path; the scene has 1.",
            hint="Give two photos, or choose a model for single photos (viewcrafter-single).",
        )
    shared = latents(frames, frames_per_latent)
    clips = []
    for first, *targets, last in stretches(scene):
        count = -(-len(targets) // (frames - 2))
        for offset in range(count):
            slots = [first, *targets[offset::count]]
            missing = frames - len(slots)
            slots += [last] * missing
            notes: tuple[str, ...] = ()
            if missing > 1:
                notes = (
                    f"a clip has {missing - 1} targets less than the model's {frames} frames hold "
                    "and ends in as many repeats of the last photo",
                )
            clips.append(ClipLayout(slots=tuple(slots), notes=notes, latents=shared))
    return tuple(clips)


def latents(frames: int, frames_per_latent: int) -> tuple[tuple[int, ...], ...]:
    """Frames of every latent: the first alone, then as many as the autoencoder joins."""
    starts = range(1, frames, frames_per_latent)
    return ((0,), *(tuple(range(start, start + frames_per_latent)) for start in starts))
