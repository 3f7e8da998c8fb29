"""The embedded models on a real posed scene, with two inputs at several spacings.

    python benchmarks/real_scene.py --scene FOLDER --json out/real_scene.json

Prints mean PSNR of the regression stage and of every mode against the photos in between, and what
the report warns of. Real photos are outside of what the small models were trained on.
"""

import argparse
import json
from pathlib import Path

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.geometry.resize import fit_scene
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.evaluate.metrics import psnr
from sphinx_framework.types import Scene


def spaced(whole: Scene, first: int, gap: int) -> Scene:
    """Inputs ``first`` and ``first + gap`` of a scene whose targets are all other frames."""
    between = list(range(first + 1, first + gap))
    assert whole.target_images is not None
    return Scene(
        images=whole.target_images[[first, first + gap]],
        inputs=whole.targets[[first, first + gap]],
        targets=whole.targets[between],
        target_images=whole.target_images[between],
        name=f"{whole.name} {first}-{first + gap}",
        order=tuple(float(i) for i in (first, first + gap, *between)),
    )


def main() -> None:
    """Render all spacings and modes, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", required=True)
    parser.add_argument("--config", default="lite")
    parser.add_argument("--gaps", default="4,8,12")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    engine = Engine.from_config(config, device="cpu")
    frames = len(json.loads((Path(arguments.scene) / "transforms.json").read_text())["frames"])
    every = ",".join(str(i) for i in range(frames))
    whole = fit_scene(
        load_scene(arguments.scene, targets=f"indices:{every}"), config.size or (96, 96)
    )
    rows = []
    for gap in (int(g) for g in arguments.gaps.split(",")):
        for first in range(0, frames - gap, max(gap, 6)):
            scene = spaced(whole, first, gap)
            row: dict[str, object] = {"scene": scene.name}
            for mode in ("regression", "fine", "selective", "diffusion"):
                result = engine.render(scene, mode=mode)  # type: ignore[arg-type]
                assert scene.target_images is not None
                row[mode] = float(psnr(result.images, scene.target_images).mean())
                row["warnings"] = result.report.warnings
            rows.append({"gap": gap, **row})
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in rows[-1].items()})
    for mode in ("regression", "fine", "selective", "diffusion"):
        mean = sum(float(r[mode]) for r in rows) / len(rows)  # type: ignore[arg-type]
        print(f"{mode:>10}: {mean:.2f} dB over {len(rows)} pairs")
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
