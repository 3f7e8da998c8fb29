"""Building a pipeline's components, and saying under which licences they stand."""

import json
from dataclasses import dataclass, field
from typing import Any

import torch

from sphinx_framework.config import OPTIONAL_ROLES, ROLES, PipelineConfig
from sphinx_framework.engine.embedder_answers import CheckedEmbedder
from sphinx_framework.engine.making import kept_for_others
from sphinx_framework.engine.rules_origin import foreign_rules
from sphinx_framework.engine.slow_precision import slow_precisions
from sphinx_framework.errors import ConfigError, LicenceError
from sphinx_framework.plugin import NO_PARTS, Capabilities, ComponentSpec, Parts
from sphinx_framework.protocols import (
    DiffusionModel,
    Embedder,
    MaskPolicy,
    QualityEstimator,
    RegressionModel,
    StepPolicy,
)
from sphinx_framework.registry import Registry
from sphinx_framework.witness import Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """One component per role; ``licences`` and ``warnings`` as in every report."""

    regression: RegressionModel
    diffusion: DiffusionModel[Any, Any]
    quality: QualityEstimator
    mask: MaskPolicy
    steps: StepPolicy
    embedder: Embedder | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)
    licences: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


def choose_device(name: str) -> torch.device:
    """``auto`` prefers CUDA, then CPU; raises :class:`ConfigError` for what is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"device {name!r} cannot be used: {first}", hint="Try --device cpu or --device auto."
        ) from None
    return device


def licence_entry(role: str, spec: ComponentSpec, distribution: str) -> dict[str, Any]:
    """What the report says of one component's licence."""
    return {
        "role": role,
        "component": spec.name,
        "distribution": distribution,
        "licence": spec.licence,
        "weights_licence": spec.weights_licence,
        "non_commercial": spec.non_commercial,
    }


def pipeline_licences(config: PipelineConfig, registry: Registry) -> tuple[dict[str, Any], ...]:
    """Licences of all chosen components, in the order of the roles."""
    entries = []
    for role, component in config.pipeline.items():
        spec = registry.find(ROLES[role], component.use)
        entries.append(licence_entry(role, spec, registry.distribution_of(spec)))
    return tuple(entries)


def check_licences(config: PipelineConfig, registry: Registry, policy: str) -> None:
    """``any``, or ``permissive``: see :func:`refuse_non_commercial`; raises ``InputError``."""
    if policy not in ("any", "permissive"):
        raise ConfigError(f"licence policy {policy!r} is not 'any' or 'permissive'.")
    if policy == "permissive":
        refuse_non_commercial(pipeline_licences(config, registry))


def refuse_non_commercial(licences: tuple[dict[str, Any], ...]) -> None:
    """The ``permissive`` licence policy: raises :class:`LicenceError` naming what forbids it."""
    refused = [entry for entry in licences if entry["non_commercial"]]
    if refused:
        named = "; ".join(
            f"{e['role']} {e['component']!r} (code {e['licence']}, weights "
            f"{e['weights_licence'] or 'none'})"
            for e in refused
        )
        raise LicenceError(
            f"the licence policy 'permissive' refuses: {named}.",
            hint="Choose other components, or drop --licence-policy.",
        )


def build_components(
    config: PipelineConfig,
    registry: Registry,
    device: torch.device,
    where: str,
    *,
    built: dict[str, Any] | None = None,
) -> Components:
    """Validate all options, then build every component; nothing is built if any option is bad.

    The embedder is built first, and handed to all others as ``parts``. built: components of earlier
    calls for the same device; those with equal options and parts are taken from it, new ones added.
    """
    options = config.validate_options(registry, where)
    shared = {} if built is None else built

    def make(role: str, parts: Parts, after: str = "") -> str:
        use, own = config.pipeline[role].use, options[role]
        key = json.dumps([role, use, own.model_dump(mode="json"), after], sort_keys=True)
        if key not in shared:
            with kept_for_others(f"the making of {role} {use!r}"):
                try:
                    component = registry.build(ROLES[role], use, own, device, parts)
                except ConfigError as error:  # of an option that only its maker could check
                    error.told_by(f"{where}, [pipeline.{role}]")
                    raise
            if role == "embedder":
                origin = registry.distribution_of(registry.find(role, use))
                component = CheckedEmbedder(component, Witness(role, use, origin))
            shared[key] = component
        return key

    embedder = make("embedder", NO_PARTS) if "embedder" in config.pipeline else ""
    parts = Parts(embedder=shared.get(embedder))
    others = {
        role: shared[make(role, parts, embedder)]
        for role in config.pipeline
        if role not in OPTIONAL_ROLES  # poses: built by the loader, for photos without cameras
    }
    spec = registry.find("diffusion", config.pipeline["diffusion"].use)
    return Components(
        **others,
        embedder=parts.embedder,
        capabilities=spec.capabilities,
        licences=pipeline_licences(config, registry),
        warnings=(
            *_contested(config, registry),
            *slow_precisions(options, device),
            *foreign_rules(
                getattr(others["steps"], "rules", None),
                {role: component.use for role, component in config.pipeline.items()},
            ),
        ),
    )


def _contested(config: PipelineConfig, registry: Registry) -> list[str]:
    """A warning for every component whose name another installed plugin offers, too."""
    found = []
    for role, component in config.pipeline.items():
        others = registry.also_offered(ROLES[role], component.use)
        if others:
            own = registry.distribution_of(registry.find(ROLES[role], component.use))
            found.append(
                f"{role} {component.use!r} is that of {own}; {' and '.join(others)} offers one of "
                "that name, too, which is not used"
            )
    return found
