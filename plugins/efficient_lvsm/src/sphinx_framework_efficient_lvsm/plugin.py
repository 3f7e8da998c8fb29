"""What this distribution offers (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the one regression model of this plugin."""
    return [
        ComponentSpec(
            kind="regression",
            name="efficient-lvsm",
            factory="sphinx_framework_efficient_lvsm.model:EfficientLVSM",
            config="sphinx_framework_efficient_lvsm.config:EfficientLVSMConfig",
            licence="Apache-2.0",
            weights_licence="CC-BY-NC-SA-4.0",
            non_commercial=True,
            summary="views without geometry, every photo encoded once (Efficient-LVSM, ICLR 2026)",
        )
    ]
