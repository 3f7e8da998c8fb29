"""What a pipeline has to do with rule files: the objective of its own, and how others are used."""

from sphinx_framework.config import PipelineConfig
from sphinx_framework.policy.rules import load_rules
from sphinx_framework.registry import Registry
from sphinx_framework.types import Objective


def objective_of(config: PipelineConfig, registry: Registry) -> Objective:
    """As the step policy's rule file says; ``paper`` for policies without one."""
    now = config.pipeline["steps"]
    named = registry.options("steps", now.use, now.options, "steps")
    rules = getattr(named, "rules", None)
    return load_rules(rules).rules.objective if isinstance(rules, str) else "paper"


def settings_for(rules: str, config: PipelineConfig, registry: Registry) -> str:
    """The ``--set`` options by which the pipeline follows a rule file, as text.

    The pipeline's own step policy is kept where it reads such files (an option ``rules``).
    """
    own = config.pipeline["steps"].use
    readers = [
        spec.name
        for spec in registry.specs
        if spec.kind == "steps" and "rules" in registry.options_model(spec).model_fields
    ]
    if own in readers:
        return f"--set steps.rules={rules}"
    reader = readers[0] if readers else "klogic"
    return f"--set steps.use={reader} --set steps.rules={rules}"
