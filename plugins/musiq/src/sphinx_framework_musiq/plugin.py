"""Declares the quality estimator (torch-free)."""

from sphinx_framework.plugin import ComponentSpec, hookimpl


@hookimpl
def sphinx_framework_components() -> list[ComponentSpec]:
    """Return the spec of the estimator."""
    package = "sphinx_framework_musiq"
    return [
        ComponentSpec(
            kind="quality",
            name="musiq",
            factory=f"{package}.estimator:MusiqQuality",
            config=f"{package}.config:MusiqConfig",
            licence="Apache-2.0 AND PolyForm-Noncommercial-1.0.0",
            weights_licence="not stated by pyiqa (original MUSIQ: Apache-2.0)",
            non_commercial=True,
            summary="MUSIQ no-reference score, about 0 to 100 (the paper's)",
        )
    ]
