"""Train the autoencoder on single generated frames.

python training/train_autoencoder.py --data D --run R --minutes 20
"""

import math
from pathlib import Path

import numpy as np
import torch
from common import Run, Scenes, arguments
from half_precision import half_precision
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from sphinx_framework_lite.autoencoder import LATENT_CHANNELS, Autoencoder, gradient_l1

FRAMES = 8


def draw(scenes: Scenes, ready: np.ndarray, count: int, generator: torch.Generator) -> Tensor:
    """Frames, mirrored, tinted, sometimes softened like regression renders are."""
    pick = torch.randint(len(ready), (count,), generator=generator).numpy()
    frame = torch.randint(FRAMES, (count,), generator=generator).numpy()
    rows = scenes.maps["images"][ready[pick], frame]
    images = torch.from_numpy(np.ascontiguousarray(rows)).permute(0, 3, 1, 2).float() / 255
    random = torch.rand(4, count, generator=generator)
    images = torch.where(random[0][:, None, None, None] < 0.5, images.flip(-1), images)
    soft = functional.interpolate(
        functional.avg_pool2d(images, 2), scale_factor=2.0, mode="bilinear"
    )
    images = torch.where(random[1][:, None, None, None] < 0.15, soft, images)
    gain = 0.7 + 0.6 * torch.rand(count, 3, 1, 1, generator=generator)
    return (images * gain).clamp(0, 1).contiguous()


def main() -> None:
    """Run the command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--decoder-of", type=Path, help="keep this encoder, train its decoder on")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    network = Autoencoder()
    network.train()
    if options.decoder_of:
        state = load_file(options.decoder_of)
        network.load_state_dict({k: v.float() for k, v in state.items()})
        network.encoder.requires_grad_(False)
        network.standard.eval()
    print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M parameters")
    run = Run(options, network)
    scenes = Scenes(options.data / "train")
    check = torch.Generator().manual_seed(1)
    held = draw(scenes, scenes.ready()[:8], 24, check)
    validation = options.data / "calibration"
    if (validation / "done.npy").exists():
        others = Scenes(validation)
        if len(others.ready()):
            held = others.take("images", others.ready()[:8])[:, ::3].flatten(0, 1)
    while run.progress < 1:
        images = draw(scenes, scenes.ready(), options.batch, run.generator)
        size = (len(images), LATENT_CHANNELS, images.shape[-2] // 4, images.shape[-1] // 4)
        level = 0.1 * torch.rand(len(images), 1, 1, 1, generator=run.generator)
        noise = level * torch.randn(size, generator=run.generator)
        with half_precision():
            out, _ = network(images, noise)
        l1 = functional.l1_loss(out, images)
        mse = functional.mse_loss(out, images)
        loss = l1 + 0.5 * gradient_l1(out, images) + 4 * mse
        values = {"l1": float(l1.detach()), "psnr": -10 * math.log10(float(mse.detach()))}
        if run.step % 200 == 199:
            network.standard.eval()
            with torch.no_grad(), half_precision():
                again = network(held)[0].clamp(0, 1)
            network.standard.train(not options.decoder_of)
            errors = (again - held).square().mean(dim=(1, 2, 3))
            values["held_psnr"] = float((-10 * errors.log10()).mean())
        run.update(loss, **values)
    run.save()


if __name__ == "__main__":
    main()
