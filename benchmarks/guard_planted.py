"""Mistakes of known kinds in place of the pipeline's frames: which of them the guard withholds.

    python benchmarks/guard_planted.py procedural:report/900-939 \
        re10k_room:4-10,8-18,0-33 dl3dv_140:10-14 [--side 192]

Scenes are given as to real_photos.py. Frames are those that the pipeline's own plans refine. For
each the guard is shown what was painted (before the render's share), and in its place: the render
some pixels to the side, as it is and blurred by one pixel, the frame of the target next to it, what
was painted with a square of another scene, a sixteenth of the frame somewhere in it, no picture
at all (black, blocks, noise), another scene's, and the truth.

Prints a table. Of generated scenes and of captures, it has a column of the frames that lost more
than ``--loss`` dB of PSNR against the truth, compared with their renders, and one of all others. A
cell says how many of how many the guard withholds, because the quality component says that too many
dB were lost or because too little of the render's low frequencies survived (in brackets: for that
alone); then between which dB they are judged to have lost, and the largest loss that is served.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from real_photos import generated
from torch import Tensor
from torch.nn import functional

from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.scoring import target_evidence
from sphinx_framework.metrics import psnr
from sphinx_framework.policy.evidence import reason_to_withhold, surviving_evidence
from sphinx_framework.policy.evidence_config import EvidenceConfig
from sphinx_framework.protocols import LossEstimator
from sphinx_framework.scenes.frame_pairs import captured
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.types import Scene
from sphinx_framework_lite.bands import smooth

GENERATED = "procedural:"
FOREIGN = "procedural:calibration/{}"  # pictures of scenes that nobody measures the guard on
SQUARE = 4  # of the frame's side: a sixteenth of its area
PIXELS = (2, 3)
BLOCKS = 12  # a side
PAINTED, TRUTH = "as painted", "the truth"


@dataclass(frozen=True, slots=True)
class Found:
    """Of some frames: dB lost against the truth, and what the guard makes of them.

    told: dB that the quality component says were lost. dear: withheld for that. low: withheld for
    too few of the render's low frequencies.
    """

    lost: Float[Tensor, " F"]
    told: Float[Tensor, " F"]
    dear: Bool[Tensor, " F"]
    low: Bool[Tensor, " F"]

    @classmethod
    def joined(cls, parts: list["Found"]) -> "Found":
        """Frames of several scenes as one."""
        return cls(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def cell(self, rows: Bool[Tensor, " F"], *, bad: bool) -> str:
        """How many are withheld, how all are judged, and the worst of the bad that is not."""
        if not rows.any():
            return ""
        low, dear, told = self.low[rows], self.dear[rows], self.told[rows]
        alone, missed = int((low & ~dear).sum()), ~(low | dear)
        said = f"{int((~missed).sum())} of {len(told)}" + (f" ({alone})" if alone else "")
        said += f": {told.min():.2f} to {told.max():.2f}"
        worst = self.lost[rows][missed]
        return f"{said}; missed up to {worst.max():.1f}" if bad and len(worst) else said


def aside(images: Float[Tensor, "T 3 H W"], pixels: int) -> Float[Tensor, "T 3 H W"]:
    """Moved to the right; what comes in from the left is mirrored."""
    return functional.pad(images, (pixels, 0, 0, 0), mode="reflect")[..., :-pixels]


def neighbours(images: Float[Tensor, "T 3 H W"]) -> Float[Tensor, "T 3 H W"]:
    """Every frame is the next one, the last the one before it."""
    return torch.cat([images[1:], images[-2:-1]])


def with_square(
    images: Float[Tensor, "T 3 H W"], other: Float[Tensor, "_ 3 H W"], random: torch.Generator
) -> Float[Tensor, "T 3 H W"]:
    """A square of another picture in every frame, at a place of its own."""
    out = images.clone()
    side = min(images.shape[-2:]) // SQUARE
    for index, frame in enumerate(out):
        top, left = (
            int(torch.randint(n - side + 1, (), generator=random)) for n in frame.shape[1:]
        )
        rows, columns = slice(top, top + side), slice(left, left + side)
        frame[:, rows, columns] = other[index % len(other), :, rows, columns]
    return out


def planted(
    painted: Float[Tensor, "T 3 H W"],
    render: Float[Tensor, "T 3 H W"],
    truth: Float[Tensor, "T 3 H W"],
    other: Float[Tensor, "_ 3 H W"],
    seed: int,
) -> Iterator[tuple[str, Float[Tensor, "T 3 H W"]]]:
    """Every kind by name; other: pictures of another scene."""
    yield PAINTED, painted
    for pixels in PIXELS:
        yield f"its render, {pixels} pixels aside", aside(render, pixels)
    for pixels in PIXELS:
        yield f"the same blurred, {pixels} pixels aside", aside(smooth(render, 1.0), pixels)
    if len(painted) > 1:
        yield "its neighbour's frame", neighbours(painted)
    random = torch.Generator().manual_seed(seed)
    yield "a foreign square, a sixteenth", with_square(painted, other, random)
    cells = torch.rand(len(painted), 3, BLOCKS, BLOCKS, generator=random)
    yield "black", torch.zeros_like(painted)
    yield "coloured blocks", functional.interpolate(cells, painted.shape[-2:])
    yield "noise", torch.rand(painted.shape, generator=random)
    yield "another scene", other[[index % len(other) for index in range(len(painted))]]
    yield TRUTH, truth


def of_scene(engine: Engine, scene: Scene, limits: EvidenceConfig, number: int) -> dict[str, Found]:
    """What the guard says of every kind in a scene; engine: one that serves what it paints."""
    judge, truth = engine.components.quality, scene.target_images
    assert isinstance(judge, LossEstimator)
    assert truth is not None
    result = engine.render(scene)
    refined = [frame.index for frame in result.report.frames if frame.steps_run > 0]
    if not refined:
        return {}
    coarse = result.coarse
    evidence = target_evidence(scene, coarse).rows(refined)
    render, opacity = evidence.renders, evidence.opacity
    other = load_scene(FOREIGN.format(number), size=scene.inputs.image_size).target_images
    assert other is not None
    before = psnr(render, truth[refined])
    found = {}
    for kind, frames in planted(result.images, coarse.images, truth, other, number):
        images = frames[refined].clamp(0, 1)
        told = judge.lost(images, evidence)
        shares = surviving_evidence(images, render, opacity, limits.tolerance)
        low = [reason_to_withhold(share, None, limits) for share in shares.tolist()]
        dear = [reason_to_withhold(1.0, lost, limits) for lost in told.tolist()]
        found[kind] = Found(
            lost=before - psnr(images, truth[refined]),
            told=told,
            dear=torch.tensor([reason is not None for reason in dear]),
            low=torch.tensor([reason is not None for reason in low]),
        )
    return found


def table(title: str, groups: dict[str, list[dict[str, Found]]], loss: float) -> Iterator[str]:
    """Lines of a Markdown table: a row per kind, two columns per group of scenes."""
    heads = [f"{name}: lost more than {loss:g} dB | {name}: others" for name in groups]
    yield f"| {title} | {' | '.join(heads)} |"
    yield "|---" * (1 + 2 * len(groups)) + "|"
    scenes = [scene for group in groups.values() for scene in group]
    for kind in dict.fromkeys(kind for scene in scenes for kind in scene):
        cells = [kind]
        for group in groups.values():
            parts = [scene[kind] for scene in group if kind in scene]
            if not parts:
                cells += ["", ""]
                continue
            found = Found.joined(parts)
            bad = found.lost > loss
            cells += [found.cell(bad, bad=True), found.cell(~bad, bad=False)]
        yield f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> None:
    """Plant in every scene, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+", metavar="FOLDER[:FIRST-LAST,...]")
    parser.add_argument("--config", default="lite")
    parser.add_argument("--side", type=int, help="square size in pixels (default: the pipeline's)")
    parser.add_argument("--loss", type=float, default=1.0, help="dB that make a frame bad")
    arguments = parser.parse_args(argv)
    sized = [f"size=[{arguments.side}, {arguments.side}]"] if arguments.side else []
    limits = load_config(arguments.config, sized).evidence
    # What the guard would see.
    serving = ["evidence.guard=false", "composite.finish=false", "composite.render_share=0"]
    config = load_config(arguments.config, [*sized, *serving])
    engine = Engine.from_config(config, device="cpu")
    if not isinstance(engine.components.quality, LossEstimator):
        parser.error(f"the quality component of {arguments.config} says of no frame what it lost")
    size = config.size or (96, 96)
    groups: dict[str, list[dict[str, Found]]] = {}
    for argument in arguments.scenes:
        own = argument.startswith(GENERATED)
        group = groups.setdefault("generated" if own else "captures", [])
        for scene in generated(argument, size) if own else captured(argument, size):
            group.append(of_scene(engine, scene, limits, len(group)))
    print(*table(f"{size[0]}x{size[1]}", groups, arguments.loss), sep="\n")


if __name__ == "__main__":
    main()
