"""Declares the CLIP embedder (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the embedder."""
    return [
        ComponentSpec(
            kind="embedder",
            name="clip",
            factory="sphinx_framework_clip.embedder:ClipEmbedder",
            config="sphinx_framework_clip.config:ClipConfig",
            weights_licence="MIT",
            summary="CLIP image embedding of all inputs (ViT-B-32, LAION-2B)",
        )
    ]
