"""Declares the regression model and the pose estimator (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the specs of the point-cloud regression model and of the pose estimator."""
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
        ),
        ComponentSpec(
            kind="poses",
            name="dust3r",
            factory="sphinx_framework_dust3r.poses:DUSt3RPoseEstimator",
            config="sphinx_framework_dust3r.config:DUSt3RConfig",
            licence="Apache-2.0",
            weights_licence="CC-BY-NC-SA-4.0",
            non_commercial=True,
            summary="poses and focal lengths of unposed photos from DUSt3R pointmaps",
        ),
    ]
