"""``evaluate``: the method against full diffusion, regression and fewer steps (paper table 1)."""

import argparse

from sphinx_framework.cli.study_run import method_modes, open_study, run_study
from sphinx_framework.study.systems import baselines, has_multistep_solver, methods, multistep


def evaluate_command(arguments: argparse.Namespace) -> int:
    """Run (or go on), then write tables, figures and the page."""
    opened = open_study(arguments)
    modes = method_modes(arguments.modes)
    systems = [*baselines(opened.config, opened.few_steps), *methods(modes, opened.qualities)]
    shown = arguments.show or systems[-1].name
    if has_multistep_solver(opened.config, opened.registry):
        systems += multistep(opened.config)
    return run_study(arguments, opened, systems, "evaluate", shown)
