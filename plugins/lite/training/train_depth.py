"""Train the multi-view depth network on generated scenes with exact depth.

    python training/train_depth.py --data D --run R --minutes 25

``--splits train photos`` draws every batch from one of them in turn; ``--start`` begins with the
weights of a file in place of random ones; ``--captures`` draws what captures have
(``capture_errors.py``), and scenes of more than 96 pixels at several sizes.
"""

from pathlib import Path

import numpy as np
import torch
from capture_errors import SIDES, photographed, resized, with_camera_errors, with_unknown_range
from common import Run, Scenes, arguments
from half_precision import half_precision
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.depth import (
    PLANES,
    DepthNetwork,
    DepthPrediction,
    depth_to_place,
)

FRAMES = 8
TOLERANCE = 1.5
TYPICAL_SPAN = 30.0  # pixels between the nearest and the farthest plane, in the other input


def mirrored(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same scenes seen in a mirror (x -> -x in world and cameras)."""
    flip = torch.diag(torch.tensor([-1.0, 1, 1, 1]))
    width = batch["images"].shape[-1]
    k = batch["intrinsics"].clone()
    k[..., 0, 2] = width - k[..., 0, 2]
    return {
        **batch,
        "images": batch["images"].flip(-1),
        "depth": batch["depth"].flip(-1),
        "poses": flip @ batch["poses"] @ flip,
        "intrinsics": k,
    }


def draw(
    scenes: Scenes, count: int, generator: torch.Generator, ready: np.ndarray, captures: bool
) -> dict[str, Tensor]:
    """A batch of input pairs, randomly mirrored, tinted and with loosened depth ranges.

    captures: half of the batches have a range that nobody knew, all have a camera's errors.
    """
    pick = torch.randint(len(ready), (count,), generator=generator).numpy()
    chosen = ready[pick]
    batch = {
        "images": scenes.take("images", chosen)[:, [0, FRAMES - 1]],
        "depth": scenes.take("depth", chosen),
        "poses": scenes.take("poses", chosen)[:, [0, FRAMES - 1]],
        "intrinsics": scenes.take("intrinsics", chosen)[:, None].repeat(1, 2, 1, 1),
    }
    limits = scenes.take("range", chosen)
    # Nobody knows the range of a real capture well: half of the batches have one that is far off.
    near, far = (0.65, 1.5) if torch.rand((), generator=generator) < 0.5 else (0.3, 4.0)
    batch["near"] = limits[:, 0] * (near + (1 - near) * torch.rand(count, generator=generator))
    batch["far"] = limits[:, 1] * (1 + far * torch.rand(count, generator=generator) ** 2)
    if captures and torch.rand((), generator=generator) < 0.5:
        batch = with_unknown_range(batch)
    if torch.rand((), generator=generator) < 0.5:
        batch = mirrored(batch)
    if captures and batch["images"].shape[-1] > min(SIDES):
        batch = resized(batch, generator)
    gain = 0.7 + 0.6 * torch.rand(count, 1, 3, 1, 1, generator=generator)
    own = 0.96 + 0.08 * torch.rand(count, 2, 1, 1, 1, generator=generator)
    batch["images"] = (batch["images"] * gain * own).clamp(0, 1)
    if captures:
        batch = with_camera_errors(batch, generator)
        batch["images"] = photographed(batch["images"], generator)
    return batch


def losses(
    out: DepthPrediction, batch: dict[str, Tensor], in_pixels: bool
) -> tuple[Tensor, dict[str, float]]:
    """L1 on normalised inverse depth at three sizes, cross entropy of the planes, confidence.

    in_pixels: errors weigh what they shift in the other input, so that a range that is searched
    far too wide does not make them small.
    """
    near, far = (batch[n][:, None, None, None] for n in ("near", "far"))
    truth = depth_to_place(batch["depth"], near, far).clamp(0, 1)
    quarter, half = truth[..., 2::4, 2::4], truth[..., 1::2, 1::2]
    position = quarter * (PLANES - 1)
    low = position.floor().clamp(max=PLANES - 2)
    logs = torch.log_softmax(out.coarse_logits, dim=2)
    part = (position - low)[:, :, None]
    index = low.long()[:, :, None]
    entropy = -((1 - part) * logs.gather(2, index) + part * logs.gather(2, index + 1)).mean()
    error = (out.place - truth).abs()
    # Confident means right to within TOLERANCE pixels in the other input: a depth error hurts a
    # render by the pixels that it shifts, which depends on the baseline.
    apart = (batch["poses"][:, 0, :3, 3] - batch["poses"][:, 1, :3, 3]).norm(dim=-1)
    pixels = batch["intrinsics"][:, 0, 0, 0] * apart * (1 / batch["near"] - 1 / batch["far"])
    weight = (pixels / TYPICAL_SPAN).clamp(0.5, 4) if in_pixels else torch.ones_like(pixels)
    weight = weight[:, None, None, None]
    l1 = (error * weight).mean() * 2 + ((out.half_place - half).abs() * weight).mean()
    l1 = l1 + ((out.coarse_place - quarter).abs() * weight).mean()
    right = (error.detach() * pixels[:, None, None, None] < TOLERANCE).float()
    certain = functional.binary_cross_entropy_with_logits(out.confidence_logit, right)
    total = 8 * l1 + 0.3 * entropy + 0.2 * certain
    return total, {
        "l1": float(error.detach().mean()),
        "within": float((error.detach() < 1 / (PLANES - 1)).float().mean()),
        "right": float(right.mean()),
        "certain": float(certain.detach()),
    }


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--splits", nargs="+", default=["train"], help="folders below --data")
    parser.add_argument("--start", type=Path, help="weights to begin with")
    parser.add_argument("--captures", action="store_true", help="draw what captures have")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    network = DepthNetwork()
    if options.start:
        network.load_state_dict({k: v.float() for k, v in load_file(options.start).items()})
    network.train()
    print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters")
    run = Run(options, network)
    splits = [Scenes(options.data / name) for name in options.splits]
    while run.progress < 1:
        scenes = splits[run.step % len(splits)]
        batch = draw(scenes, options.batch, run.generator, scenes.ready(), options.captures)
        with half_precision():
            out = network(
                batch["images"],
                batch["poses"],
                batch["intrinsics"],
                batch["near"],
                batch["far"],
                [[1], [0]],
            )
        loss, values = losses(out, batch, options.captures)
        run.update(loss, **values)
    run.save()


if __name__ == "__main__":
    main()
