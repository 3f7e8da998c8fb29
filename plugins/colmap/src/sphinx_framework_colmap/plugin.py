"""Declares the pose estimator (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the pose estimator."""
    return [
        ComponentSpec(
            kind="poses",
            name="colmap",
            factory="sphinx_framework_colmap.poses:ColmapPoseEstimator",
            config="sphinx_framework_colmap.config:ColmapConfig",
            licence="Apache-2.0",
            summary="poses and focal length of unposed photos by structure from motion; no weights",
        )
    ]
