"""``evaluate``: the method against full diffusion, regression and fewer steps (paper table 1)."""

import argparse

from sphinx_framework.cli.study_run import open_study, run_study
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
    request = opened.request
    systems = [
        *baselines(opened.config, request.few_steps),
        noise_floor(opened.config),
        *methods(request.modes, request.qualities),
    ]
    shown = arguments.show or systems[-1].name
    solver = alternative_solver(opened.config, opened.registry)
    if solver is not None:
        walked = objective_of(opened.config, opened.registry) == "paper"
        systems += with_solver(opened.config, solver, few_steps=request.few_steps, method=walked)
    return run_study(arguments, opened, systems, "evaluate", shown)
