"""The five networks of ViewCrafter: built, and filled from one checkpoint or at random.

A checkpoint also carries tensors that are never used at inference (the text tower's last block,
CLIP's projections, noise tables). Their keys and shapes are checked, their values are not loaded.
"""

import torch
from torch import Tensor, nn

from sphinx_framework.errors import WeightsError
from sphinx_framework.weights import DTYPES, randomise, require_fit
from sphinx_framework_viewcrafter.clip_image import ImageTower
from sphinx_framework_viewcrafter.clip_text import text_tower
from sphinx_framework_viewcrafter.config import ViewCrafterConfig
from sphinx_framework_viewcrafter.network import UNet
from sphinx_framework_viewcrafter.resampler import Resampler
from sphinx_framework_viewcrafter.training_schedule import TrainingSchedule
from sphinx_framework_viewcrafter.vae import Autoencoder
from sphinx_framework_viewcrafter.weights import WHAT, read, source

PREFIXES = {
    "unet": "model.diffusion_model.",
    "autoencoder": "first_stage_model.",
    "text_tower": "cond_stage_model.model.",
    "image_tower": "embedder.model.",
    "resampler": "image_proj_model.",
}
RANDOM = "random"
RANDOM_BIAS = 0.02
SCALE_TOLERANCE = 1e-4
OTHER_SIZES = (
    "The options unet, autoencoder, image_tower, text_tower and resampler must describe the "
    "checkpoint; their defaults fit the official ones."
)


class Networks(nn.Module):
    """All networks under the names of :data:`PREFIXES`."""

    def __init__(self, config: ViewCrafterConfig) -> None:
        super().__init__()
        self.unet = UNet(config.unet)
        self.autoencoder = Autoencoder(config.autoencoder)
        self.text_tower = text_tower(config.text_tower)
        self.image_tower = ImageTower(config.image_tower)
        self.resampler = Resampler(config.resampler)


def build_networks(config: ViewCrafterConfig, device: torch.device) -> Networks:
    """Networks in evaluation mode, on the device and in the dtype of the config.

    Raises:
        WeightsError: the checkpoint is missing or does not fit.
    """
    with torch.device("meta"):
        networks = Networks(config)
    if config.weights == RANDOM:
        randomise(networks, config.seed, bias=RANDOM_BIAS, device=device)
    else:
        _fill_from_checkpoint(networks, config)
    networks.text_tower.attn_mask = networks.text_tower.build_causal_mask()  # not in a checkpoint
    return networks.to(device=device, dtype=DTYPES[config.dtype]).eval().requires_grad_(False)


def expected_shapes(networks: Networks, config: ViewCrafterConfig) -> dict[str, torch.Size]:
    """Key and shape of every tensor of a checkpoint of this configuration."""
    shapes = {
        prefix + key: tensor.shape
        for part, prefix in PREFIXES.items()
        for key, tensor in networks.get_submodule(part).state_dict().items()
    }
    schedule = TrainingSchedule.from_config(config.diffusion)
    tables = {key: table.shape for key, table in schedule.buffers().items()}
    return shapes | tables | _ignored_shapes(networks, config)


def _fill_from_checkpoint(networks: Networks, config: ViewCrafterConfig) -> None:
    path = source(config).path()
    state = read(path)
    expected = {
        key: torch.empty(shape, device="meta")
        for key, shape in expected_shapes(networks, config).items()
    }
    require_fit(expected, state, f"{WHAT}: {path}", OTHER_SIZES)
    _check_scales(state["scale_arr"], config, str(path))
    for part, prefix in PREFIXES.items():
        network = networks.get_submodule(part)
        values = {key: state[prefix + key] for key in network.state_dict()}
        network.load_state_dict(values, strict=True, assign=True)


def _check_scales(stored: Tensor, config: ViewCrafterConfig, where: str) -> None:
    """The families differ only in this table: a mismatch would only show as wrong brightness."""
    ours = TrainingSchedule.from_config(config.diffusion).scales
    if float((stored.double() - ours).abs().max()) > SCALE_TOLERANCE:
        raise WeightsError(
            f"{where} was trained with a latent rescale down to {float(stored[-1]):.3g}, the "
            f"config says {float(ours[-1]):.3g}.",
            hint=f"Set diffusion.base_scale = {float(stored[-1]):.3g}.",
        )


def _ignored_shapes(networks: Networks, config: ViewCrafterConfig) -> dict[str, torch.Size]:
    text, image = config.text_tower, config.image_tower
    a_block = networks.text_tower.transformer.resblocks[0].state_dict()
    last_block = {
        f"transformer.resblocks.{text.layers - 1}.{key}": tensor.shape
        for key, tensor in a_block.items()
    }
    projections = {
        "text_projection": torch.Size([text.width, text.embed_dim]),
        "logit_scale": torch.Size([]),
    }
    # The image tower's copy of CLIP lost its text blocks but kept the tensors around them.
    beside_image = {
        "visual.ln_post.weight": torch.Size([image.width]),
        "visual.ln_post.bias": torch.Size([image.width]),
        "visual.proj": torch.Size([image.width, text.embed_dim]),
        "token_embedding.weight": torch.Size([text.vocab_size, text.width]),
        "positional_embedding": torch.Size([text.context_length, text.width]),
        "ln_final.weight": torch.Size([text.width]),
        "ln_final.bias": torch.Size([text.width]),
    }
    return _prefixed(PREFIXES["text_tower"], last_block | projections) | _prefixed(
        PREFIXES["image_tower"], beside_image | projections
    )


def _prefixed(prefix: str, shapes: dict[str, torch.Size]) -> dict[str, torch.Size]:
    return {prefix + key: shape for key, shape in shapes.items()}
