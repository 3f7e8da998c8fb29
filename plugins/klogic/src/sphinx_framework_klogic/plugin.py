"""Declares the step policies (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the specs of all components."""
    package = "sphinx_framework_klogic"
    return [
        ComponentSpec(
            kind="steps",
            name="klogic",
            factory=f"{package}.policy:KLogicSteps",
            config=f"{package}.config:KLogicConfig",
            summary="plans from measured rule tables, per scene cluster and quality",
        ),
        ComponentSpec(
            kind="steps",
            name="fixed",
            factory=f"{package}.fixed:FixedSteps",
            config=f"{package}.config:FixedConfig",
            summary="one plan for every frame, whatever its ratio and the quality asked for",
        ),
    ]
