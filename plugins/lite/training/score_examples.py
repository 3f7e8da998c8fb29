"""What the score learns from: features and aims of a stored scene's frames, ladders and photos."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from damage import LADDERS, SHARPER, ladder, sharpened
from similarity import quality
from torch import Tensor

from sphinx_framework.geometry.warps import warped
from sphinx_framework.types import Cameras, ScoreEvidence
from sphinx_framework_lite.evidence_features import Known, features, known
from sphinx_framework_lite.finisher import Finisher
from sphinx_framework_lite.weights import build

SYSTEM, DAMAGED, TRUTH = 0, 1, 2
LADDER_TARGETS = (0, 2, 4)
FIRST_PHOTO = 90
KINDS = ("painted", "finished")
# Index of the picture that a rung of a ladder must stay below; none of it.
NONE = -1


def aim(images: Tensor, truth: Tensor) -> Tensor:
    """Similarity to the truth, less the shift of the mean colour."""
    shift = (images.mean((2, 3)) - truth.mean((2, 3))).abs().mean(1)
    return quality(images, truth) - shift


def stored_evidence(scene: dict[str, np.ndarray]) -> ScoreEvidence:
    """Evidence of a stored scene's targets, as the engine makes it."""

    def images(name: str) -> Tensor:
        return torch.from_numpy(scene[name]).float() / 255

    inputs = images("inputs")
    size = (inputs.shape[-2], inputs.shape[-1])
    cameras = Cameras(
        world_from_camera=torch.from_numpy(scene["poses"]).float(),
        intrinsics=torch.from_numpy(scene["intrinsics"]).float(),
        image_size=size,
    )
    count = len(inputs)
    depth = torch.from_numpy(scene["depth"]).float()
    targets = list(range(count, len(scene["poses"])))
    warps, inside = warped(inputs, cameras[list(range(count))], cameras[targets], depth)
    names = scene["names"].tolist()
    return ScoreEvidence(
        inputs=inputs,
        renders=torch.from_numpy(scene["systems"][names.index("regression")]).float() / 255,
        opacity=torch.from_numpy(scene["opacity"]).float(),
        warps=warps,
        inside=inside,
    )


@lru_cache(maxsize=1)
def finisher() -> Finisher:
    """As it is packaged."""
    return build(Finisher, "finisher", "packaged", torch.device("cpu"))


@torch.no_grad()
def frames_of(scene: dict[str, np.ndarray], kind: str) -> list[Tensor]:
    """Frames of every system: as stored, or finished.

    Stored is what was painted, which the guard sees. Renders stay as they are.
    """
    names = scene["names"].tolist()
    painted = torch.from_numpy(scene["systems"]).float() / 255
    renders = painted[names.index("regression")]
    if kind == "painted":
        return list(painted)
    opacity = torch.from_numpy(scene["opacity"]).float()
    return [
        images if name == "regression" else finisher()(images, renders, opacity).clamp(0, 1)
        for name, images in zip(names, painted, strict=True)
    ]


@torch.no_grad()
def examples(
    path: Path, number: int, *, kept_warps: bool = True, frames: Iterable[str] = ("finished",)
) -> dict[str, Tensor]:
    """Features and aims of all systems and ladders of one stored scene.

    frames: kinds of systems' frames (:func:`frames_of`).
    """
    with np.load(path) as file:
        scene = {name: file[name] for name in file.files}
    truth = torch.from_numpy(scene["truth"]).float() / 255
    evidence = stored_evidence(scene)
    if not kept_warps:
        evidence = replace(evidence, warps=None, inside=None)
    laddered = [target for target in LADDER_TARGETS if target < len(truth)]
    whole, some = known(evidence), known(evidence.rows(laddered))
    rows: dict[str, list[Tensor]] = {}
    taken = 0

    def put(
        images: Tensor, reference: Tensor, targets: list[int], kind: int, seen: Known, above: int
    ) -> int:
        """Add images; ``above``: index of the first of those that they must stay below."""
        nonlocal taken
        count = len(images)
        found = {
            "features": features(images, seen),
            "aim": aim(images, reference),
            "similarity": quality(images, reference),
            "frame": torch.tensor(targets) + 100 * number,
            "kind": torch.full((count,), kind),
            "above": torch.full((count,), NONE) if above < 0 else above + torch.arange(count),
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
        taken += count
        return taken - count

    def add_ladders(
        base: Tensor, reference: Tensor, targets: list[int], seen: Known, names: Iterable[str]
    ) -> int:
        top = put(base, reference, targets, DAMAGED, seen, NONE)
        for name in names:
            above = top
            for images in ladder(name, base, number):
                above = put(images, reference, targets, DAMAGED, seen, above)
        return top

    every = list(range(len(truth)))
    for images in (images for kind in frames for images in frames_of(scene, kind)):
        put(images, truth, every, SYSTEM, whole, NONE)
    put(truth, truth, every, TRUTH, whole, NONE)
    some_truth = truth[laddered]
    for base in (some_truth, evidence.renders[laddered]):
        above = add_ladders(base, some_truth, laddered, some, LADDERS)
        for amount in SHARPER:
            # A soft render may come nearer to the truth, a truth never.
            above = above if base is some_truth else NONE
            images = sharpened(amount)(base, torch.Generator()).clamp(0, 1)
            above = put(images, some_truth, laddered, DAMAGED, some, above)
    put(truth.roll(1, 0)[laddered], some_truth, laddered, DAMAGED, some, NONE)
    photos, places = evidence.inputs, [FIRST_PHOTO + i for i in range(len(evidence.inputs))]
    themselves = known(
        ScoreEvidence(inputs=photos, renders=photos, opacity=torch.ones_like(photos[:, 0]))
    )
    add_ladders(photos, photos, places, themselves, ("blur", "noise", "blocks"))
    return {name: torch.cat(values) for name, values in rows.items()}


def gathered(
    folder: Path, cache: Path, *, some_without: bool, frames: Iterable[str] = ("finished",)
) -> dict[str, Tensor]:
    """Examples of all scenes of a folder, from the cache where they were made before.

    some_without: every fourth scene has no warps, as with a regression stage that has no depth.
    frames: as :func:`examples` takes them; each choice of kinds has a cache of its own.
    """
    kinds = tuple(frames)
    cache = cache / "-".join(kinds)
    cache.mkdir(parents=True, exist_ok=True)
    parts = []
    taken = 0
    for number, path in enumerate(sorted(folder.glob("[0-9]*.npz"))):
        if path.name.endswith(".tmp.npz"):
            continue
        kept = cache / f"{path.stem}.pt"
        if not kept.exists():
            number = int(path.stem)
            warps = not some_without or number % 4 > 0
            torch.save(examples(path, number, kept_warps=warps, frames=kinds), kept)
        part = torch.load(kept, weights_only=True)
        above = torch.where(part["above"] == NONE, NONE, part["above"] + taken)
        taken += len(above)
        parts.append({**part, "above": above, "scene": torch.full_like(above, number)})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
