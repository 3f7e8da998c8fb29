"""Declares the VideoScene component (torch-free)."""

from sphinx_framework.plugin import Capabilities, ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the diffusion model."""
    package = "sphinx_framework_videoscene"
    return [
        ComponentSpec(
            kind="diffusion",
            name="videoscene",
            factory=f"{package}.model:VideoScene",
            config=f"{package}.config:VideoSceneConfig",
            capabilities=Capabilities(frame_subset=True, block_sparse=True, max_frames=49),
            licence="Apache-2.0",
            weights_licence="CogVideoX (free for research)",
            non_commercial=True,
            summary="VideoScene: 49 frames at 480x720 between two photos, in one step",
        )
    ]
