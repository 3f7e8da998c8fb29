"""Declares the mask components (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the specs of the three mask policies."""
    package = "sphinx_framework_masks"
    return [
        ComponentSpec(
            kind="mask",
            name="opacity-blur",
            factory=f"{package}.policy:OpacityBlurMask",
            config=f"{package}.config:OpacityBlurConfig",
            summary="refine where the render is uncertain or blurry, smoothed, per view",
        ),
        ComponentSpec(
            kind="mask",
            name="opacity",
            factory=f"{package}.policy:OpacityMask",
            config=f"{package}.config:OpacityConfig",
            summary="refine where the render is uncertain, smoothed, per view",
        ),
        ComponentSpec(
            kind="mask",
            name="none",
            factory=f"{package}.policy:EverywhereMask",
            summary="no mask: refine every pixel",
        ),
    ]
