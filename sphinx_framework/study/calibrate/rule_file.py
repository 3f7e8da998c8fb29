"""Writing fitted rules as a rule file that the ``klogic`` step policy loads."""

import json
from datetime import date

from sphinx_framework.config import PipelineConfig
from sphinx_framework.study.calibrate.calibration import Calibration
from sphinx_framework.study.calibrate.fit import Fit, FittedRule

SCHEMA = "sphinx-framework/rules/1"


def rule_file(
    config: PipelineConfig,
    calibration: Calibration,
    fit: Fit,
    *,
    name: str,
    dataset: str,
    command: str,
    notes: str,
) -> str:
    """TOML text: provenance, clusters if there are several, a table per quality and cluster."""
    used = {role: component.use for role, component in config.pipeline.items()}
    lines = [
        f"# Start steps fitted by: {_one_line(command)}",
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
        f"notes = {_text(notes)}",
        f"confidence = {fit.confidence}",
        f"min_samples = {fit.min_samples}",
    ]
    centres = calibration.clustering.centres
    if centres:
        lines += ["", "[clusters]", f"embedder = {_text(used['embedder'])}", "centres = ["]
        lines += [f"    [{', '.join(f'{x:.6f}' for x in centre)}]," for centre in centres]
        lines.append("]")
    for rule in calibration.rules:
        lines += ["", "[[table]]", f"quality = {rule.quality}"]
        if rule.cluster is not None:
            lines.append(f"cluster = {rule.cluster}")
        rows = ", ".join(f"[{low}, {high}, {start}]" for low, high, start in rule.rows)
        lines.append(f"rows = [{rows}]")
        lines.append(f"samples = {list(rule.samples)}")
        lines.append(f"lower_bound = {list(rule.bounds)}")
        lines.append(f"full_ratio = {list(rule.full_ratio)}")
        lines.append(f"notes = {_text(served_note(rule))}")
    return "\n".join(lines) + "\n"


def served_note(rule: FittedRule) -> str:
    """What the samples say about serving regression frames as they are."""
    said = "regression frames are never served as they are: the samples do not justify it"
    if rule.served_bound is not None:
        said = (
            f"regression frames are served as they are from ratio {rule.rows[-1][1]:g}: "
            f"{rule.served_samples} targets, which keep at least {rule.served_bound:.3f}"
        )
    if rule.thin:
        rows = ", ".join(str(row) for row in rule.thin)
        said += f"; too few samples in rows {rows}: start 0"
    return said


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's, but DEL must be escaped in TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
