"""Declares the ViewCrafter component (torch-free)."""

from sphinx_framework.plugin import Capabilities, ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the diffusion model."""
    package = "sphinx_framework_viewcrafter"
    return [
        ComponentSpec(
            kind="diffusion",
            name="viewcrafter",
            factory=f"{package}.model:ViewCrafter",
            config=f"{package}.config:ViewCrafterConfig",
            capabilities=Capabilities(frame_subset=True, block_sparse=True),
            licence="Apache-2.0",
            weights_licence="see the model card of the chosen checkpoint",
            # Its conditioning renders come from DUSt3R, whose weights are CC BY-NC-SA 4.0.
            non_commercial=True,
            summary="ViewCrafter video diffusion: 25 frames at 576x1024 from point-cloud renders",
        )
    ]
