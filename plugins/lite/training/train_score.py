"""Train what judges by evidence (inputs, render, opacity, warps): the score, and the guard's head.

    python training/train_score.py --scenes D/score --held D/score_held --run R

Reads what ``score_scenes.py`` stored. The score's target is similarity to the truth, (SSIM + GMS)
/ 2, less the shift of the mean colour, which neither of both sees. The guard's is the PSNR that an
image lost against its render. Features are made once and kept in the run's folder; fitting takes
seconds to minutes.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from damage import LADDERS, SHARPER, ladder, sharpened
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from similarity import psnr, quality
from torch import Tensor
from torch.nn import functional

from sphinx_framework.geometry.warps import warped
from sphinx_framework.types import Cameras, ScoreEvidence
from sphinx_framework_lite.evidence_features import Known, features, known
from sphinx_framework_lite.quality import EvidenceNetwork, Head, Heads, compared

SYSTEM, DAMAGED, TRUTH = 0, 1, 2
LOW = 0.2
LADDER_TARGETS = (1, 4)
FIRST_PHOTO = 90
PROVEN = 0.4
LIMITS = (0.75, 1.0, 1.25, 1.5)


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
            "lost": psnr(seen.images, reference) - psnr(images, reference),
            "opacity": seen.opacity.mean((1, 2, 3)),
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


def of_renders(data: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of targets, and the features of the renders that belong to them."""
    place: dict[int, int] = {}
    for row, frame in enumerate(data["frame"].tolist()):
        place.setdefault(frame, row)  # a scene's first system is the regression stage
    rows = torch.nonzero(data["frame"] % 100 < FIRST_PHOTO)[:, 0]
    renders = torch.tensor([place[frame] for frame in data["frame"][rows].tolist()])
    return rows, data["features"][renders]


def fit_guard(head: Head, data: dict[str, Tensor], steps: int, seed: int) -> None:
    """Robust least squares on the dB that were lost; frames that lost much count more."""
    rows, renders = of_renders(data)
    seen = compared(data["features"][rows], renders)
    lost = data["lost"][rows].clamp(-2, 3)
    deviation, mean = torch.std_mean(seen, dim=0)
    head.mean.copy_(mean)
    head.deviation.copy_(deviation.clamp(min=1e-4))
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=5e-2)
    generator = torch.Generator().manual_seed(100 + seed)
    weight = 1 + 2 * (lost > 0.5).float() * (data["kind"][rows] == SYSTEM)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps) + 1e-5
        pick = torch.randint(len(rows), (256,), generator=generator)
        noise = torch.randn(len(pick), seen.shape[1], generator=generator)
        found = head.plain(seen[pick] + 0.5 * head.deviation * noise)
        error = functional.smooth_l1_loss(found, lost[pick], beta=0.3, reduction="none")
        loss = (weight[pick] * error).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def judged(head: Heads, data: dict[str, Tensor]) -> Tensor:
    """What the head says that every proven frame of the systems lost, in their order."""
    rows, renders = of_renders(data)
    with torch.no_grad():
        return head.plain(compared(data["features"][rows], renders))[proven(data)]


def proven(data: dict[str, Tensor]) -> Tensor:
    """Which of the targets' rows are a system's frame of which the inputs prove enough."""
    rows, _ = of_renders(data)
    return (data["kind"][rows] == SYSTEM) & (data["opacity"][rows] >= PROVEN)


def report_guard(found: Tensor, lost: Tensor) -> None:
    """Print what the guard catches at some limits, and at 2 % false alarms."""
    bad = lost > 1
    print(f"{len(bad)} frames, {int(bad.sum())} lost more than 1 dB")
    for limit in (*LIMITS, float(found[~bad].quantile(0.98))):
        caught, false = ((found[rows] > limit).float().mean() for rows in (bad, ~bad))
        print(f"  above {limit:.2f} dB: catches {caught:.0%} at {false:.1%} false alarms")


def cross_validate(data: dict[str, Tensor], steps: int, folds: int) -> None:
    """Report the guard on scenes that its heads did not see: what its limit is chosen by."""
    order = torch.randperm(int(data["scene"].max()) + 1, generator=torch.Generator().manual_seed(5))
    fold = (order % folds)[data["scene"]]
    found, lost = [], []
    for part in range(folds):
        own = {name: values[fold == part] for name, values in data.items()}
        rest = {name: values[fold != part] for name, values in data.items()}
        network = EvidenceNetwork()
        for seed, head in enumerate(network.lost.heads):
            fit_guard(head, rest, steps, seed)  # type: ignore[arg-type]
        found.append(judged(network.lost, own))
        lost.append(own["lost"][of_renders(own)[0]][proven(own)])
    report_guard(torch.cat(found), torch.cat(lost))


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
    parser.add_argument(
        "--keep-score", type=Path, help="weights whose score stays; only the guard's head is fitted"
    )
    parser.add_argument("--folds", type=int, default=0, help="only cross-validate the guard")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = gathered(options.scenes, options.run / "features", some_without=True)
    if options.folds:
        cross_validate(data, options.steps, options.folds)
        return
    held = [
        gathered(folder, options.run / folder.name, some_without=False) for folder in options.held
    ]
    print(f"{len(data['aim'])} examples of {int(data['scene'].max()) + 1} scenes", flush=True)
    network = EvidenceNetwork()
    if options.keep_score is not None:
        kept = load_file(options.keep_score)
        own = {name[6:]: kept[name] for name in kept if name.startswith("score.")}
        network.score.load_state_dict(own)
    for seed, (score, lost) in enumerate(zip(network.score.heads, network.lost.heads, strict=True)):
        if options.keep_score is None:
            fit(score, data, options.steps, seed)
        fit_guard(lost, data, options.steps, seed)
    for part in (data, *held):
        with torch.no_grad():
            report(network.score(part["features"]), part)
        report_guard(judged(network.lost, part), part["lost"][of_renders(part)[0]][proven(part)])
    save_file(network.state_dict(), options.run / "weights.safetensors")


if __name__ == "__main__":
    main()
