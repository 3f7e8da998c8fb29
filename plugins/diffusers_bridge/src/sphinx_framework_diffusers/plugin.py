"""Declares the bridge's component (torch-free)."""

from sphinx_framework.plugin import Capabilities, ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the diffusion model."""
    package = "sphinx_framework_diffusers"
    return [
        ComponentSpec(
            kind="diffusion",
            name="stable-video",
            factory=f"{package}.stable_video:StableVideo",
            config=f"{package}.config:StableVideoConfig",
            capabilities=Capabilities(),
            licence="Apache-2.0",
            weights_licence="Stability AI Community (see the repository's page)",
            non_commercial=True,
            summary="diffusers' Stable Video Diffusion, whole clips only, started from the renders",
        )
    ]
