"""``calibrate --policy NAME``: train a step policy on the samples, and compare it with rules."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.study_run import command_line
from sphinx_framework.folders.single import write_file
from sphinx_framework.protocols import StepsTrainer
from sphinx_framework.study.calibrate.fit import Fit
from sphinx_framework.study.calibrate.held_out import HeldOut, held_out
from sphinx_framework.study.calibrate.policies import Seen, held_out_policy
from sphinx_framework.study.calibrate.samples import samples_digest


def train_policy(
    arguments: argparse.Namespace,
    train: StepsTrainer,
    scenes: Sequence[Seen],
    qualities: Sequence[float],
    fit: Fit,
    out: Path,
) -> int:
    """Train on all scenes and write the policy; judge policy and rules on held-out scenes."""
    samples = [sample for sample, _ in scenes]
    trained = train([seen for _, seen in scenes], seed=arguments.seed)
    unseen = held_out_policy(train, scenes, qualities, seed=arguments.seed)
    rules = held_out(
        samples,
        qualities,
        clusters=arguments.clusters,
        min_scenes=arguments.min_scenes,
        fit=fit,
    )
    said = [
        f"trained by: {command_line()}",
        f"{len(samples)} scenes: {', '.join(arguments.scenes)}; samples {samples_digest(samples)}",
        *(part.text() for part in unseen),
    ]
    write_file(out, "".join(f"# {line}\n" for line in said) + trained.text)
    if arguments.json:
        print_json(_as_json(arguments, out, samples_digest(samples), unseen, rules))
    else:
        _show(arguments.policy, unseen, rules, out)
    return 0


def _as_json(
    arguments: argparse.Namespace,
    out: Path,
    digest: str,
    unseen: Sequence[HeldOut],
    rules: Sequence[HeldOut],
) -> dict[str, object]:
    return {
        "out": str(out),
        "policy": arguments.policy,
        "samples": digest,
        "held_out": [asdict(part) for part in unseen],
        "rules_held_out": [asdict(part) for part in rules],
    }


def _show(name: str, unseen: Sequence[HeldOut], rules: Sequence[HeldOut], out: Path) -> None:
    console = Console()
    for who, parts in ((name, unseen), ("rules", rules)):
        for part in parts:
            console.print(f"{who}: {part.text()}", highlight=False)
    if not unseen:
        console.print("too few scenes to judge the policy on held-out ones", highlight=False)
    console.print(
        f"wrote {out}; use it with: --set steps.use={name} --set steps.policy={out}",
        markup=False,
        soft_wrap=True,
    )
