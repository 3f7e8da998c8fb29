"""``sweep``: the trade-off space over quality, mode and further factors (paper figures 13, 14)."""

import argparse
import tomllib
from collections.abc import Sequence
from typing import Any

from sphinx_framework.cli.study_run import open_study, run_study
from sphinx_framework.errors import ConfigError
from sphinx_framework.study.evaluate.systems import baselines, grid

MOST_SYSTEMS = 400


def sweep(arguments: argparse.Namespace) -> int:
    """Run (or go on) every combination, then write tables with the Pareto front, and figures."""
    opened = open_study(arguments)
    request = opened.request
    if not request.modes:
        raise ConfigError(f"--modes {arguments.modes}: a sweep needs coarse, fine or selective.")
    varied = list(arguments.vary)
    if arguments.refresh is not None:
        varied.append(f"plan.refresh_every={arguments.refresh}")
    combinations = grid(request.modes, request.qualities, factors(varied))
    if len(combinations) > MOST_SYSTEMS:
        raise ConfigError(
            f"the sweep has {len(combinations)} combinations; the limit is {MOST_SYSTEMS}.",
            hint="Vary fewer factors at once.",
        )
    systems = [*baselines(opened.config, request.few_steps), *combinations]
    return run_study(arguments, opened, systems, "sweep", systems[-1].name)


def factors(varied: Sequence[str]) -> dict[str, list[Any]]:
    """Parse ``a.b=v,v`` texts; values are TOML, or the text itself where they are none.

    Raises :class:`ConfigError` for a text without key or values, and a key given twice.
    """
    found: dict[str, list[Any]] = {}
    for text in varied:
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")) or not all(values.split(",")):
            raise ConfigError(
                f"--vary {text}: expected KEY.PATH=VALUE,VALUE, such as plan.refresh_every=3,5."
            )
        if key in ("quality", "mode"):
            plural = {"quality": "--qualities", "mode": "--modes"}[key]
            raise ConfigError(f"--vary {text}: {key} has an option of its own: {plural} {values}.")
        if key in found:
            raise ConfigError(f"--vary {text}: {key} is varied twice.")
        found[key] = list({repr(value): value for value in map(_value, values.split(","))}.values())
    return found


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
