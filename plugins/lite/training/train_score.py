"""Train the score that judges by evidence: inputs, render, opacity, warps.

    python training/train_score.py --scenes D/score --held D/score_held --run R

Reads what ``score_scenes.py`` stored. The score's target is similarity to the truth, (SSIM + GMS)
/ 2, less the shift of the mean colour, which neither of both sees. Features are made once and kept
in the run's folder; fitting takes seconds to minutes. The guard's head: ``train_guard.py``.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from damage import LADDERS, SHARPER, ladder, sharpened
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from similarity import quality
from torch import Tensor
from torch.nn import functional

from sphinx_framework.geometry.warps import warped
from sphinx_framework.types import Cameras, ScoreEvidence
from sphinx_framework_lite.evidence_features import Known, features, known
from sphinx_framework_lite.quality import EvidenceNetwork, Head

SYSTEM, DAMAGED, TRUTH = 0, 1, 2
LOW = 0.2
LADDER_TARGETS = (1, 4)
FIRST_PHOTO = 90


def stretched(value: Tensor) -> Tensor:
    """Similarity on the scale of the score."""
    return ((value - LOW) / (1 - LOW)).clamp(0.005, 0.995)


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


@torch.no_grad()
def examples(path: Path, number: int, *, kept_warps: bool = True) -> dict[str, Tensor]:
    """Features and aims of all systems and ladders of one stored scene."""
    with np.load(path) as file:
        scene = {name: file[name] for name in file.files}
    truth = torch.from_numpy(scene["truth"]).float() / 255
    evidence = stored_evidence(scene)
    if not kept_warps:
        evidence = replace(evidence, warps=None, inside=None)
    laddered = [target for target in LADDER_TARGETS if target < len(truth)]
    whole, some = known(evidence), known(evidence.rows(laddered))
    rows: dict[str, list[Tensor]] = {}

    def add(images: Tensor, targets: list[int], kind: int) -> None:
        put(images, truth[targets], targets, kind, some if kind == DAMAGED else whole)

    def put(images: Tensor, reference: Tensor, targets: list[int], kind: int, seen: Known) -> None:
        found = {
            "features": features(images, seen),
            "aim": aim(images, reference),
            "similarity": quality(images, reference),
            "frame": torch.tensor(targets) + 100 * number,
            "kind": torch.full((len(targets),), kind),
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(value)

    every = list(range(len(truth)))
    for frames in scene["systems"]:
        add(torch.from_numpy(frames).float() / 255, every, SYSTEM)
    add(truth, every, TRUTH)
    for base in (truth[laddered], evidence.renders[laddered]):
        for name in LADDERS:
            for images in ladder(name, base, number):
                add(images, laddered, DAMAGED)
        for amount in SHARPER:
            images = sharpened(amount)(base, torch.Generator()).clamp(0, 1)
            add(images, laddered, DAMAGED)
    add(truth.roll(1, 0)[laddered], laddered, DAMAGED)
    photos, places = evidence.inputs, [FIRST_PHOTO + i for i in range(len(evidence.inputs))]
    themselves = known(
        ScoreEvidence(inputs=photos, renders=photos, opacity=torch.ones_like(photos[:, 0]))
    )
    put(photos, photos, places, DAMAGED, themselves)
    for name in ("blur", "noise"):
        for images in ladder(name, photos, number):
            put(images, photos, places, DAMAGED, themselves)
    return {name: torch.cat(values) for name, values in rows.items()}


def gathered(folder: Path, cache: Path, *, some_without: bool) -> dict[str, Tensor]:
    """Examples of all scenes of a folder, from the cache where they were made before.

    some_without: every fourth scene has no warps, as with a regression stage that has no depth.
    """
    cache.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, path in enumerate(sorted(folder.glob("[0-9]*.npz"))):
        if path.name.endswith(".tmp.npz"):
            continue
        kept = cache / f"{path.stem}.pt"
        if not kept.exists():
            number = int(path.stem)
            warps = not some_without or number % 4 > 0
            torch.save(examples(path, number, kept_warps=warps), kept)
        part = torch.load(kept, weights_only=True)
        parts.append({**part, "scene": torch.full_like(part["frame"], number)})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def fit(head: Head, data: dict[str, Tensor], steps: int, seed: int) -> None:
    """Smooth least squares, and ranking within every frame."""
    deviation, mean = torch.std_mean(data["features"], dim=0)
    head.mean.copy_(mean)
    head.deviation.copy_(deviation.clamp(min=1e-4))
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=5e-2)
    generator = torch.Generator().manual_seed(seed)
    order = data["frame"].argsort(stable=True)
    _, counts = data["frame"][order].unique_consecutive(return_counts=True)
    frames = order.split(counts.tolist())
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps) + 1e-5
        pick = torch.randint(len(frames), (8,), generator=generator).tolist()
        rows = torch.cat([frames[i] for i in pick])
        inputs = data["features"][rows]
        inputs = inputs + 0.08 * head.deviation * torch.randn(inputs.shape, generator=generator)
        score = head(inputs)
        wanted = data["aim"][rows]
        loss = functional.smooth_l1_loss(score, stretched(wanted), beta=0.05)
        same = data["frame"][rows][:, None] == data["frame"][rows]
        gap = wanted[:, None] - wanted
        apart = score[:, None] - score
        close = same & (gap.abs() > 0.003)
        margin = gap.abs().clamp(max=0.05)
        ranked = functional.softplus(25 * (margin - apart * gap.sign()))
        loss = loss + 0.1 * (ranked * close).sum() / close.sum().clamp(min=1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def report(score: Tensor, data: dict[str, Tensor]) -> None:
    """Print rank correlations within frames over all systems and the truth."""
    systems = data["kind"] != DAMAGED
    found = []
    for frame in data["frame"][systems].unique():
        rows = systems & (data["frame"] == frame)
        found.append(spearmanr(score[rows], data["similarity"][rows])[0])
    values = torch.tensor(found)
    print(
        f"{len(values)} frames: Spearman within a frame, mean {values.mean():.3f}, "
        f"worst tenth below {values.quantile(0.1):.3f}; over all images "
        f"{spearmanr(score, data['similarity'])[0]:.3f}"
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--held", type=Path, nargs="+", required=True, help="only measured")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--guard", type=Path, help="weights whose head of the guard stays")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = gathered(options.scenes, options.run / "features", some_without=True)
    held = [
        gathered(folder, options.run / folder.name, some_without=False) for folder in options.held
    ]
    print(f"{len(data['aim'])} examples of {int(data['scene'].max()) + 1} scenes", flush=True)
    network = EvidenceNetwork()
    if options.guard is not None:
        kept = load_file(options.guard)
        own = {name[5:]: kept[name] for name in kept if name.startswith("lost.")}
        network.lost.load_state_dict(own)
    for seed, score in enumerate(network.score.heads):
        fit(score, data, options.steps, seed)  # type: ignore[arg-type]
    for part in (data, *held):
        with torch.no_grad():
            report(network.score(part["features"]), part)
    save_file(network.state_dict(), options.run / "weights.safetensors")


if __name__ == "__main__":
    main()
