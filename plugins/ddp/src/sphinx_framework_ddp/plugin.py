"""Declares the policy (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the step policy."""
    package = "sphinx_framework_ddp"
    return [
        ComponentSpec(
            kind="steps",
            name="ddp",
            factory=f"{package}.policy:LearnedSteps",
            config=f"{package}.config:LearnedStepsConfig",
            trainer=f"{package}.training:train",
            summary="start steps from a small trained network that looks at the renders",
        )
    ]
