"""``evaluate``: the method against full diffusion, regression and fewer steps (paper table 1)."""

import argparse

from sphinx_framework.cli.study_run import method_modes, open_study, run_study
from sphinx_framework.study.evaluate.systems import (
    alternative_solver,
    baselines,
    methods,
    noise_floor,
    with_solver,
)
from sphinx_framework.study.objective import objective_of


def evaluate_command(arguments: argparse.Namespace) -> int:
    """Run (or go on), then write tables, figures and the page."""
    opened = open_study(arguments)
    modes = method_modes(arguments.modes)
    systems = [
        *baselines(opened.config, opened.few_steps),
        noise_floor(opened.config),
        *methods(modes, opened.qualities),
    ]
    shown = arguments.show or systems[-1].name
    solver = alternative_solver(opened.config, opened.registry)
    if solver is not None:
        walked = objective_of(opened.config, opened.registry) == "paper"
        systems += with_solver(opened.config, solver, few_steps=opened.few_steps, method=walked)
    return run_study(arguments, opened, systems, "evaluate", shown)
