"""What this distribution offers (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the one regression model of this plugin."""
    return [
        ComponentSpec(
            kind="regression",
            name="mvsplat",
            factory="sphinx_framework_mvsplat.model:MVSplat",
            config="sphinx_framework_mvsplat.config:MVSplatConfig",
            licence="Apache-2.0",
            # The authors publish the weights without a licence (SPDX: NOASSERTION).
            weights_licence="NOASSERTION",
            summary="3-D Gaussians from two or more posed photos (MVSplat, ECCV 2024)",
        )
    ]
