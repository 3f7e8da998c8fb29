"""Train the guard: how many dB a frame lost against its render, from evidence alone.

    python training/train_guard.py --scenes D/score --held D/score_held --run R
    python training/train_guard.py --weights W/guard.safetensors --held D/score_held --run R

Reads what ``score_scenes.py`` stored. Beside the systems' frames it sees planted ones
(``planted.py``) of frames as painted, of renders and of truths. What it learns is the PSNR that was
lost against the truth, whatever was done to the frame; what is measured is the guard's whole
judgement, with what the packaged score's likeness lost (``judged_loss``). Features are made once
and kept in the run's folder.
"""

import argparse
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from planted import planted
from safetensors.torch import load_file, save_file
from score_examples import expected_views, stored_evidence
from similarity import psnr
from torch import Tensor
from torch.nn import functional

from sphinx_framework.policy.evidence import surviving_evidence
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.evidence_features import features, known, seen
from sphinx_framework_lite.heads import Head
from sphinx_framework_lite.likeness import Likeness, Surroundings
from sphinx_framework_lite.quality import GuardNetwork, judged_features, judged_loss
from sphinx_framework_lite.weights import build

PROVEN, TOLERANCE, LEAST = 0.4, 0.1, 0.85
BAD = 1.0
SHIPPED = 1.1
LIMITS = (0.75, 0.9, 1.0, SHIPPED, 1.25, 1.5)
SYSTEM, TRUTH, RENDER = "system", "truth", "render"
TARGETS = (0, 2, 3, 5)


def read(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a stored scene."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def pictures(stored: np.ndarray) -> Tensor:
    """Stored images in [0, 1]."""
    return torch.from_numpy(stored).float() / 255


@lru_cache(maxsize=1)
def likeness() -> Likeness:
    """As it is packaged."""
    return build(Likeness, "likeness", "packaged", torch.device("cpu"))


@torch.no_grad()
def examples(path: Path, before: Path) -> dict[str, object]:
    """Features of every system's and every planted frame of a scene; ``before``: another scene."""
    scene, number = read(path), int(path.stem)
    random = np.random.default_rng([number, 77])
    truth = pictures(scene["truth"])
    names = scene["names"].tolist()
    served = pictures(scene["systems"][next(i for i, n in enumerate(names) if "start 30" in n)])
    whole = stored_evidence(scene)
    if number % 4 == 0:  # as with a regression stage that has no depth
        whole = replace(whole, warps=None, inside=None)
    some = whole.rows([t for t in TARGETS if t < len(truth)])
    rows: dict[str, list[Tensor]] = {}
    kinds: list[str] = []

    def add(images: Tensor, evidence: ScoreEvidence, reference: Tensor, kind: str) -> None:
        images = images.clamp(0, 1)
        memory = evidence.memory
        if "known" not in memory:
            apart = memory["known"] = known(evidence, expected_views(evidence))
            memory["own"] = features(apart.render, apart)
            memory["around"] = Surroundings(apart)
            memory["like"] = likeness()(memory["around"].maps_of_renders).mean((1, 2))
        view = seen(images)
        row = judged_features(images, view, memory["known"], memory["own"])
        like = likeness()(memory["around"].maps(view)).mean((1, 2))
        opacity = evidence.opacity
        assert opacity is not None
        found = {
            "features": row,
            "unlike": memory["like"] - like,
            "lost": psnr(evidence.renders, reference) - psnr(images, reference),
            "kept": surviving_evidence(images, evidence.renders, opacity, TOLERANCE),
            "opacity": opacity.mean((1, 2)),
        }
        for name, value in found.items():
            rows.setdefault(name, []).append(value)
        kinds.extend([kind] * len(images))

    for name, frames in zip(names, scene["systems"], strict=True):
        add(pictures(frames), whole, truth, RENDER if name == "regression" else f"{SYSTEM} {name}")
    add(truth, whole, truth, TRUTH)
    chosen = [t for t in TARGETS if t < len(truth)]
    other = functional.interpolate(pictures(read(before)["truth"]), truth.shape[-2:])
    other = other[torch.arange(len(chosen)) % len(other)]
    for name, make in planted(other).items():
        for base in (served, truth, whole.renders)[: 2 if name != "damaged" else 3]:
            add(make(base[chosen], random), some, truth[chosen], name)
    return {"kinds": kinds, **{name: torch.cat(values) for name, values in rows.items()}}


def gathered(folders: list[Path], cache: Path) -> dict[str, Tensor | np.ndarray]:
    """Examples of all scenes of some folders, from the cache where they were made before."""
    parts = []
    for folder in folders:
        paths = [p for p in sorted(folder.glob("[0-9]*.npz")) if ".tmp" not in p.name]
        (cache / folder.name).mkdir(parents=True, exist_ok=True)
        for at, path in enumerate(paths):
            kept = cache / folder.name / f"{path.stem}.pt"
            if not kept.exists():
                torch.save(examples(path, paths[at - 1]), kept)
            part = torch.load(kept, weights_only=True)
            part["scene"] = torch.full((len(part["kinds"]),), len(parts))
            part["kinds"] = np.array(part["kinds"])
            parts.append(part)
    joined: dict[str, Tensor | np.ndarray] = {"kinds": np.concatenate([p["kinds"] for p in parts])}
    for name in ("features", "unlike", "lost", "kept", "opacity", "scene"):
        joined[name] = torch.cat([p[name] for p in parts])
    return joined


def fit(head: Head, data: dict, steps: int, seed: int, noise: float) -> None:
    """Robust least squares on the dB that were lost, evenly over kinds of frames."""
    used = data["opacity"] >= 0.3
    seen, lost = data["features"][used], data["lost"][used].clamp(-2, 4)
    system = torch.from_numpy(np.char.startswith(data["kinds"], SYSTEM))[used]
    deviation, mean = torch.std_mean(seen, dim=0)
    head.mean.copy_(mean)
    head.deviation.copy_(deviation.clamp(min=1e-4))
    own = torch.from_numpy(np.isin(data["kinds"], (TRUTH, RENDER)))[used]
    weight = torch.full((len(lost),), 0.7)
    weight[system] = 1.0
    weight[(system & (lost > 0.5)) | own] = 3.0
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=5e-2)
    generator = torch.Generator().manual_seed(100 + seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps) + 1e-5
        pick = torch.randint(len(lost), (256,), generator=generator)
        jitter = torch.randn(len(pick), seen.shape[1], generator=generator)
        found = head.plain(seen[pick] + noise * head.deviation * jitter)
        error = functional.smooth_l1_loss(found, lost[pick], beta=0.3, reduction="none")
        loss = (weight[pick] * error).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def judged(network: GuardNetwork, data: dict) -> Tensor:
    """What the guard says was lost: by the head, and by likeness."""
    return judged_loss(network.lost.plain(data["features"]), data["unlike"])


def report(found: Tensor, data: dict) -> None:
    """Print what the guard catches of the systems' frames, and of planted ones, by kind."""
    proven, lost = data["opacity"] >= PROVEN, data["lost"]
    system = torch.from_numpy(np.char.startswith(data["kinds"], SYSTEM)) & proven
    bad, good = system & (lost > BAD), system & (lost <= BAD)
    low = data["kept"] < LEAST
    scenes = len(data["scene"][bad].unique())
    print(f"{int(system.sum())} frames, {int(bad.sum())} of {scenes} scenes lost more than 1 dB")
    for limit in (*LIMITS, *(float(found[good].quantile(q)) for q in (0.98, 0.99))):
        fires = (found > limit) | low
        print(
            f"  above {limit:.2f} dB: catches {found[bad].gt(limit).float().mean():.0%} at "
            f"{found[good].gt(limit).float().mean():.2%} false alarms; with low frequencies "
            f"{fires[bad].float().mean():.0%} at {fires[good].float().mean():.2%}"
        )
    for kind in dict.fromkeys(data["kinds"].tolist()):
        if kind.startswith(SYSTEM):
            continue
        rows = torch.from_numpy(data["kinds"] == kind) & proven
        worse = rows & (lost > BAD)
        fires = (found > SHIPPED) | low
        print(
            f"  {kind:<14} {int(worse.sum()):4d} lost more than 1 dB, caught "
            f"{fires[worse].float().mean():.0%}, without low frequencies "
            f"{found[worse].gt(SHIPPED).float().mean():.0%}; "
            f"of {int((rows & ~worse).sum())} others fires on "
            f"{fires[rows & ~worse].float().mean():.1%}"
        )


def gathered_apart(folders: list[Path], cache: Path) -> dict[str, dict]:
    """Examples of every folder, by its name."""
    return {folder.name: gathered([folder], cache) for folder in folders}


@torch.no_grad()
def told(network: GuardNetwork, sets: dict[str, dict]) -> None:
    """Print what the guard catches of every set."""
    for name, part in sets.items():
        print(f"{name}: ", end="")
        report(judged(network, part), part)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, nargs="+", default=[], help="learnt from")
    parser.add_argument("--held", type=Path, nargs="+", default=[], help="only measured")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--folds", type=int, default=0, help="only cross-validate the guard")
    parser.add_argument("--weights", type=Path, help="measure these on --held, and train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = GuardNetwork()
    if options.weights is not None:
        network.load_state_dict(load_file(options.weights))
        told(network, gathered_apart(options.held, options.run / "held"))
        return
    data = gathered(options.scenes, options.run / "features")
    print(f"{len(data['lost'])} examples of {int(data['scene'].max()) + 1} scenes", flush=True)
    if options.folds:
        order = torch.randperm(int(data["scene"].max()) + 1)
        fold = (order % options.folds)[data["scene"]]
        found = torch.zeros(len(fold))
        for part in range(options.folds):
            rest = {name: values[(fold != part).numpy()] for name, values in data.items()}
            network = GuardNetwork()
            for seed, head in enumerate(network.lost.heads):
                fit(head, rest, options.steps, seed, options.noise)
            with torch.no_grad():
                found[fold == part] = judged(network, data)[fold == part]
        report(found, data)
        return
    for seed, head in enumerate(network.lost.heads):
        fit(head, data, options.steps, seed, options.noise)
    save_file(network.state_dict(), options.run / "weights.safetensors")
    told(network, {"trained on": data} | gathered_apart(options.held, options.run / "held"))


if __name__ == "__main__":
    main()
