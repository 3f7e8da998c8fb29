"""``engine.compile``: the diffusion component's networks compiled, or a reason why not."""

from sphinx_framework.config import PipelineConfig
from sphinx_framework.engine.components import Components
from sphinx_framework.engine.residence import networks_of
from sphinx_framework.errors import ConfigError
from sphinx_framework.executors.compiling import compile_networks


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
