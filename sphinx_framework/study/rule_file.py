"""Writing fitted rules as a rule file that the ``klogic`` step policy loads."""

import json
from collections.abc import Sequence
from datetime import date

from sphinx_framework.config import PipelineConfig
from sphinx_framework.study.clusters import Clustering
from sphinx_framework.study.rules import FittedRule

SCHEMA = "sphinx-framework/rules/1"


def rule_file(
    config: PipelineConfig,
    rules: Sequence[FittedRule],
    clustering: Clustering,
    *,
    name: str,
    dataset: str,
    command: str,
    confidence: float,
    min_samples: int,
) -> str:
    """TOML text: provenance, clusters if there are several, a table per quality and cluster."""
    used = {role: component.use for role, component in config.pipeline.items()}
    lines = [
        f"# Start steps fitted by: {command}",
        f"schema = {_text(SCHEMA)}",
        f"name = {_text(name)}",
        f"num_steps = {config.num_steps}",
        f"gamma = {config.gamma}",
        "",
        "[provenance]",
        f"regression = {_text(used['regression'])}",
        f"diffusion = {_text(used['diffusion'])}",
        f"dataset = {_text(dataset)}",
        f"date = {_text(date.today().isoformat())}",
        f"scorer = {_text(used['quality'])}",
        f"source = {_text(command)}",
        f"confidence = {confidence}",
        f"min_samples = {min_samples}",
    ]
    if clustering.centres:
        lines += ["", "[clusters]", f"embedder = {_text(used['embedder'])}", "centres = ["]
        for centre in clustering.centres:
            lines.append(f"    [{', '.join(f'{x:.6f}' for x in centre)}],")
        lines.append("]")
    for rule in rules:
        lines += ["", "[[table]]", f"quality = {rule.quality}"]
        if rule.cluster is not None:
            lines.append(f"cluster = {rule.cluster}")
        rows = ", ".join(f"[{low}, {high}, {start}]" for low, high, start in rule.rows)
        lines.append(f"rows = [{rows}]")
        lines.append(f"samples = {list(rule.samples)}")
        lines.append(f"lower_bound = {list(rule.bounds)}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
