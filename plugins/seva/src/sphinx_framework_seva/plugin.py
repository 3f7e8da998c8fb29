"""What this plugin offers."""

from sphinx_framework.plugin import Capabilities, ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """One diffusion model."""
    return [
        ComponentSpec(
            kind="diffusion",
            name="seva",
            factory="sphinx_framework_seva.model:SevaModel",
            config="sphinx_framework_seva.config:SevaConfig",
            capabilities=Capabilities(frame_subset=True, block_sparse=True),
            licence="Apache-2.0",
            weights_licence="Stability AI Non-Commercial",
            non_commercial=True,
            summary="Stable Virtual Camera: any number of inputs and targets, 576x576",
        )
    ]
