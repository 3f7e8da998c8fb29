"""Declares the regression model (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the regression model."""
    package = "sphinx_framework_splat_file"
    return [
        ComponentSpec(
            kind="regression",
            name="splat-file",
            factory=f"{package}.model:SplatFile",
            config=f"{package}.config:SplatFileConfig",
            licence="Apache-2.0",
            summary="a Gaussian scene of your own (.ply, .spz), rendered to the targets",
        )
    ]
