"""``engine.compile`` and ``engine.graphs`` for the diffusion component's networks.

Or a reason why not.
"""

import torch

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.residence import networks_of
from sphinx_framework.errors import ConfigError
from sphinx_framework.executors.compiling import compile_networks
from sphinx_framework.executors.graphs import CudaRecorder, graph_networks


def compile_diffusion(components: Components, config: PipelineConfig) -> None:
    """Compile in place; raises :class:`ConfigError` for what cannot be compiled."""
    if config.engine.cache_on == "host":
        raise ConfigError(
            "engine.compile needs the latent cache on the device: a compiled step is given all of "
            "it at once.",
            hint='Leave engine.compile out, or set engine.cache_on = "device".',
        )
    networks = networks_of(components.diffusion)
    if not compile_networks(networks, backend=config.engine.compile):
        name = config.pipeline["diffusion"].use
        raise ConfigError(
            f"diffusion {name!r} cannot be compiled: none of its networks takes an executor "
            "(a parameter named ops).",
            hint="Leave engine.compile out.",
        )


def graph_diffusion(components: Components, config: PipelineConfig, device: torch.device) -> None:
    """Replay small partial steps; raises :class:`ConfigError` where nothing can be captured."""
    if device.type != "cuda":
        raise ConfigError(
            f"engine.graphs replays CUDA graphs, and {device} has none.",
            hint="Leave engine.graphs out, or choose a CUDA device.",
        )
    for moves, why in (
        (config.engine.cache_on == "host", 'engine.cache_on = "host" moves the latent cache'),
        (config.engine.offload, "engine.offload moves the weights"),
    ):
        if moves:
            raise ConfigError(
                f"engine.graphs needs everything to stay where it is, but {why}.",
                hint="Leave one of both out.",
            )
    if not graph_networks(networks_of(components.diffusion), CudaRecorder()):
        name = config.pipeline["diffusion"].use
        raise ConfigError(
            f"steps of diffusion {name!r} cannot be replayed: none of its networks takes an "
            "executor (a parameter named ops).",
            hint="Leave engine.graphs out.",
        )
