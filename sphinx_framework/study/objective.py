"""What a pipeline's qualities are shares of: the objective of the rules that it uses."""

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
