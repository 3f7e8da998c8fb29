"""Check the score with evidence on stored scenes: ranks within frames, ladders, no pictures.

    python training/check_score.py --stored D/score_held D/score_captures

Reads what ``score_scenes.py`` stored of scenes that nothing was trained on, and asks the installed
``lite`` estimator as the engine does. The second column leaves out what evidence proves to be
damage (``policy/defects.py``), the third one is the score without evidence. ``--frames`` says which
frames of the systems are ranked: finished, as they are served, or as painted.
``--targets`` without a number leaves the ladders out.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from damage import LADDERS, SHARPER, ladder, no_pictures, sharpened
from scipy.stats import spearmanr
from score_examples import KINDS, frames_of, stored_evidence
from similarity import quality
from torch import Tensor

from sphinx_framework.policy.defects import undamaged_share
from sphinx_framework.types import ScoreEvidence
from sphinx_framework_lite.config import QualityConfig
from sphinx_framework_lite.quality import LiteQuality

LADDER_TARGETS = (0, 3)
Found = dict[str, list[float]]
WHOLE, UNPRICED, BLIND = range(3)


def in_order(scores: list[Tensor]) -> list[float]:
    """Per image: 1 where the score falls at every rung."""
    falls = torch.stack(scores).diff(dim=0) < 0
    return falls.all(dim=0).float().tolist()


def of_scene(
    path: Path,
    estimator: LiteQuality,
    kind: int,
    laddered: Sequence[int] = LADDER_TARGETS,
    frames: str = "finished",
) -> Found:
    """Every measure of one stored scene, one number an image; ``frames``: which of systems."""
    with np.load(path) as file:
        scene = {name: file[name] for name in file.files}
    truth = torch.from_numpy(scene["truth"]).float() / 255
    whole = stored_evidence(scene)
    number = int(path.stem)

    def score(images: Tensor, evidence: ScoreEvidence) -> Tensor:
        if kind == BLIND:
            return estimator.score(images)
        found = estimator.score(images, evidence=evidence)
        return found if kind == WHOLE else found / undamaged_share(images, evidence)

    systems = [*frames_of(scene, whole, frames).values(), truth]
    scores = torch.stack([score(images, whole) for images in systems])
    similar = torch.stack([quality(images, truth) for images in systems])
    pairs = zip(scores.T, similar.T, strict=True)
    found: Found = {"Spearman within a frame": [float(spearmanr(a, b)[0]) for a, b in pairs]}
    shares = torch.cat([undamaged_share(images, whole) for images in systems])
    found["frames and truths of which nothing is taken"] = (shares > 0.9999).float().tolist()
    chosen = [target for target in laddered if target < len(truth)]
    if not chosen:
        return found
    some, base = whole.rows(chosen), truth[chosen]
    top = score(base, some)
    for name in LADDERS:
        rungs = [top, *(score(images, some) for images in ladder(name, base, number))]
        found[f"{name} in order"] = in_order(rungs)
    for amount in SHARPER:
        images = sharpened(amount)(base, torch.Generator()).clamp(0, 1)
        lower = (score(images, some) <= top).float().tolist()
        found[f"unsharp {amount:g} of the truth does not raise it"] = lower
        soft = whole.renders[chosen]
        sharper = sharpened(amount)(soft, torch.Generator()).clamp(0, 1)
        gained = quality(sharper, base) - quality(soft, base)
        raised = (score(sharper, some) - score(soft, some)) / 100
        found[f"unsharp {amount:g} of a render not above its gain by 0.01"] = (
            (raised <= gained + 0.01).float().tolist()
        )
    for name, images in no_pictures(base, number).items():
        found[f"{name} below a tenth"] = (score(images, some) < 0.1 * top).float().tolist()
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stored", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", default="packaged")
    parser.add_argument("--only-with", action="store_true", help="leave the other columns out")
    parser.add_argument("--targets", type=int, nargs="*", default=LADDER_TARGETS, help="of ladders")
    parser.add_argument("--frames", choices=KINDS, default="finished", help="of the systems")
    parser.add_argument("--json", type=Path, help="means of the score, by folder, for tests")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = QualityConfig.model_construct(weights=options.weights)
    estimator = LiteQuality(config, torch.device("cpu"))
    means: dict[str, dict[str, float]] = {}
    for folder in options.stored:
        tables: list[Found] = []
        paths = sorted(folder.glob("[0-9]*.npz"))
        for kind in (WHOLE,) if options.only_with else (WHOLE, UNPRICED, BLIND):
            table: Found = {}
            for path in paths:
                asked = options.targets, options.frames
                for name, values in of_scene(path, estimator, kind, *asked).items():
                    table.setdefault(name, []).extend(values)
            tables.append(table)
        print(f"{folder.name}: {len(paths)} scenes")
        for name in tables[0]:
            columns = "".join(f"{float(np.mean(table[name])):8.3f}" for table in tables)
            print(f"  {name:<52}{columns}  of {len(tables[0][name])}")
        means[folder.name] = {name: float(np.mean(values)) for name, values in tables[0].items()}
    if options.json is not None:
        options.json.write_text(json.dumps(means, indent=1))


if __name__ == "__main__":
    main()
