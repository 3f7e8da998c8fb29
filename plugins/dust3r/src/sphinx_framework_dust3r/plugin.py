"""Declares the regression model (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the point-cloud regression model."""
    return [
        ComponentSpec(
            kind="regression",
            name="dust3r",
            factory="sphinx_framework_dust3r.regression:DUSt3RRegression",
            config="sphinx_framework_dust3r.config:DUSt3RRegressionConfig",
            licence="Apache-2.0",
            weights_licence="CC-BY-NC-SA-4.0",
            non_commercial=True,
            summary="point cloud from DUSt3R pointmaps, rendered to the targets with opacity",
        )
    ]
