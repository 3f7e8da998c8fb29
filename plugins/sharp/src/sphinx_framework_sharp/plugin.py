"""What this distribution offers (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the one regression model of this plugin."""
    return [
        ComponentSpec(
            kind="regression",
            name="sharp",
            factory="sphinx_framework_sharp.model:Sharp",
            config="sphinx_framework_sharp.config:SharpConfig",
            licence="Apache-2.0",
            # The Apple Machine Learning Research Model licence: research only, not in SPDX's list.
            weights_licence="LicenseRef-Apple-AMLR",
            non_commercial=True,
            summary="metric 3-D Gaussians from a single photo (SHARP, ICLR 2026)",
        )
    ]
