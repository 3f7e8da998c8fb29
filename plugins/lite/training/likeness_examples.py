"""What the score learns from: maps and aims of a stored scene's frames, ladders and photos."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from damage import LADDERS, SHARPER, ladder, sharpened
from score_examples import aim, expected_views, frames_of, stored_evidence
from similarity import quality, quality_map
from torch import Tensor
from torch.nn import functional

from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.evidence_features import known, seen
from sphinx_framework_lite.likeness import CELL, Surroundings

# Renders and finished frames; pictures made worse on purpose; truths; frames as painted.
SYSTEM, DAMAGED, TRUTH, PAINTED = 0, 1, 2, 3
LADDER_TARGETS = (0, 2, 4)
FIRST_PHOTO = 90
# Index of the picture that a rung of a ladder must stay below; none of it.
NONE = -1
# Every fourth scene has no warps, as with a regression stage that has no depth.
WITHOUT_WARPS = 4


class Rows:
    """Examples of one scene, in the order in which they were put in."""

    def __init__(self, number: int) -> None:
        self._first = 100 * number
        self._columns: dict[str, list[Tensor]] = {}
        self._taken = 0

    def put(
        self,
        images: Tensor,
        reference: Tensor,
        targets: list[int],
        kind: int,
        around: Surroundings,
        above: int = NONE,
    ) -> int:
        """Add images; ``above``: index of the first of those that they must stay below.

        Returns the index of the first one.
        """
        count, first = len(images), self._taken
        wanted, similarity = aim(images, reference), quality(images, reference)
        cells = functional.avg_pool2d(quality_map(images, reference), CELL)
        found = {
            "maps": around.maps(seen(images)).half(),
            "cells": (cells - (similarity - wanted)[:, None, None]).half(),
            "aim": wanted,
            "similarity": similarity,
            "frame": torch.tensor(targets) + self._first,
            "kind": torch.full((count,), kind),
            "above": torch.full((count,), NONE) if above < 0 else above + torch.arange(count),
        }
        for name, value in found.items():
            self._columns.setdefault(name, []).append(value)
        self._taken += count
        return first

    def joined(self) -> dict[str, Tensor]:
        """One tensor a column."""
        return {name: torch.cat(values) for name, values in self._columns.items()}


def surroundings(evidence: ScoreEvidence) -> Surroundings:
    """What frames are compared with."""
    return Surroundings(known(evidence, expected_views(evidence)))


@torch.no_grad()
def examples(path: Path, *, kept_warps: bool = True) -> dict[str, Tensor]:
    """All systems, finished and as painted, ladders and photos of one stored scene."""
    number = int(path.stem)
    with np.load(path) as file:
        scene = {name: file[name] for name in file.files}
    truth = torch.from_numpy(scene["truth"]).float() / 255
    evidence = stored_evidence(scene)
    if not kept_warps:
        evidence = replace(evidence, warps=None, inside=None)
    laddered = [target for target in LADDER_TARGETS if target < len(truth)]
    whole, some = surroundings(evidence), surroundings(evidence.rows(laddered))
    rows = Rows(number)

    def add_ladders(
        base: Tensor,
        reference: Tensor,
        targets: list[int],
        around: Surroundings,
        names: Iterable[str],
    ) -> int:
        top = rows.put(base, reference, targets, DAMAGED, around)
        for name in names:
            above = top
            for images in ladder(name, base, number):
                above = rows.put(images, reference, targets, DAMAGED, around, above)
        return top

    every = list(range(len(truth)))
    for images in frames_of(scene, evidence, "finished").values():
        rows.put(images, truth, every, SYSTEM, whole)
    for name, images in frames_of(scene, evidence, "painted").items():
        if name != "regression":
            rows.put(images, truth, every, PAINTED, whole)
    rows.put(truth, truth, every, TRUTH, whole)
    some_truth = truth[laddered]
    for base in (some_truth, evidence.renders[laddered]):
        above = add_ladders(base, some_truth, laddered, some, LADDERS)
        for amount in SHARPER:
            # A soft render may come nearer to the truth, a truth never.
            above = above if base is some_truth else NONE
            images = sharpened(amount)(base, torch.Generator()).clamp(0, 1)
            above = rows.put(images, some_truth, laddered, DAMAGED, some, above)
    rows.put(truth.roll(1, 0)[laddered], some_truth, laddered, DAMAGED, some)
    photos, places = evidence.inputs, [FIRST_PHOTO + i for i in range(len(evidence.inputs))]
    certain = torch.ones_like(photos[:, 0])
    themselves = surroundings(ScoreEvidence(inputs=photos, renders=photos, opacity=certain))
    add_ladders(photos, photos, places, themselves, ("blur", "noise", "blocks"))
    return rows.joined()


def gathered(folder: Path, cache: Path, *, some_without: bool) -> list[dict[str, Tensor]]:
    """Examples of every scene of a folder, from the cache where they were made before.

    some_without: leave the warps of every fourth scene out.
    """
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for path in sorted(folder.glob("[0-9]*.npz")):
        if path.name.endswith(".tmp.npz"):
            continue
        kept = cache / f"{path.stem}.pt"
        if not kept.exists():
            warps = not some_without or int(path.stem) % WITHOUT_WARPS > 0
            torch.save(examples(path, kept_warps=warps), kept)
        found.append(torch.load(kept, weights_only=True, mmap=True))
    return found
