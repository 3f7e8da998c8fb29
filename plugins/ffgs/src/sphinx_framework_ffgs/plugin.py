"""Declares the bridge's component (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the regression model."""
    package = "sphinx_framework_ffgs"
    return [
        ComponentSpec(
            kind="regression",
            name="ffgs",
            factory=f"{package}.model:FeedForwardGaussians",
            config=f"{package}.config:FfgsConfig",
            licence="Apache-2.0; ffgs itself: Apache-2.0, MIT, CC-BY-NC-4.0 and CC-BY-NC-SA-4.0",
            weights_licence="see the model's page",
            non_commercial=True,
            summary="any feed-forward Gaussian model of the ffgs package (an extra of its own)",
        )
    ]
