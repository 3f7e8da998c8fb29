"""``calibrate``: fit the k rules of a pipeline to scenes (paper sections 5.1 and 5.4)."""

import argparse
import json
import os
import shlex
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from sphinx_framework.cli.scenes import scene_names
from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.loading import load_scene
from sphinx_framework.study.clusters import cluster_scenes
from sphinx_framework.study.rule_file import rule_file
from sphinx_framework.study.rules import FittedRule, Observed, fit_rule
from sphinx_framework.study.samples import SceneSample, collect


def calibrate(arguments: argparse.Namespace) -> int:
    """Measure (or go on measuring), cluster, fit, and write the rule file."""
    qualities = _qualities(arguments.qualities)
    config = load_config(arguments.config, arguments.overrides)
    names = scene_names(arguments.scenes)
    out = Path(arguments.out)
    folder = Path(arguments.samples) if arguments.samples else out.with_suffix(".samples")
    engine = Engine.from_config(config, device=arguments.device)
    loading = [(n, partial(load_scene, n, size=config.size, fit=config.fit)) for n in names]
    samples: list[SceneSample] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scenes", total=len(loading))
        for sample in collect(engine, loading, folder, arguments.spacing):
            samples.append(sample)
            progress.advance(task)
    clustering = cluster_scenes(samples, arguments.clusters, arguments.min_scenes)
    rules: list[FittedRule] = []
    for quality in qualities:
        for cluster in range(max(1, len(clustering.centres))):
            members = [
                s for s, label in zip(samples, clustering.labels, strict=True) if label == cluster
            ]
            rules.append(
                fit_rule(
                    Observed.of(members),
                    quality,
                    cluster=cluster if clustering.centres else None,
                    num_steps=config.num_steps,
                    bins=arguments.bins,
                    min_samples=arguments.min_samples,
                    confidence=arguments.confidence,
                )
            )
    command = "sphinx-nvs calibrate " + shlex.join(
        ["--config", arguments.config, "--scenes", *arguments.scenes]
    )
    text = rule_file(
        config,
        rules,
        clustering,
        name=out.stem,
        dataset=f"{len(samples)} scenes",
        command=command,
        confidence=arguments.confidence,
        min_samples=arguments.min_samples,
    )
    part = out.with_name(f".{out.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, out)
    if arguments.json:
        tables = [
            {"quality": r.quality, "cluster": r.cluster, "rows": r.rows, "samples": r.samples}
            for r in rules
        ]
        print(json.dumps({"out": str(out), "scenes": len(samples), "tables": tables}))
    else:
        _show(Console(), rules, clustering.silhouette, out)
    return 0


def _qualities(text: str) -> list[float]:
    try:
        values = sorted({float(part) for part in text.split(",")}, reverse=True)
    except ValueError:
        raise ConfigError(f"--qualities {text}: expected numbers such as 0.98,0.95,0.90.") from None
    if not all(0 < value < 1 for value in values):
        raise ConfigError(f"--qualities {text}: every quality must lie between 0 and 1.")
    return values


def _show(console: Console, rules: list[FittedRule], silhouette: float | None, out: Path) -> None:
    if silhouette is not None:
        console.print(f"clusters: silhouette {silhouette:.2f}")
    for rule in rules:
        where = "all scenes" if rule.cluster is None else f"cluster {rule.cluster}"
        console.print(f"quality {rule.quality:g}, {where}:")
        for (low, high, start), count, bound in zip(
            rule.rows, rule.samples, rule.bounds, strict=True
        ):
            console.print(
                f"  ratio {low:.3f} to {high:.3f}: start {start:>2}   {count} targets, keeps at "
                f"least {bound:.3f}"
            )
    console.print(f"wrote {out}; use it with: --set steps.rules={out}")
