"""``measure``: a cost table of this machine, for predictions and for the choice of tiles."""

import argparse
import json

from rich import box
from rich.console import Console
from rich.table import Table

from sphinx_framework.cli.answer import print_json
from sphinx_framework.config import load_config
from sphinx_framework.engine.engine import Engine
from sphinx_framework.output.single import open_file, write_file
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.step_costs import measure_costs


def measure(arguments: argparse.Namespace) -> int:
    """Time steps of every kind, fit the cost model, and write it as a ``[cost]`` table."""
    out = open_file(arguments.out, "--out", scenes=[arguments.scene])
    config = load_config(arguments.config, arguments.overrides)
    engine = Engine.from_config(config, device=arguments.device)
    scene = load_scene(arguments.scene, size=config.size, fit=config.fit)
    cost, samples = measure_costs(engine, scene, arguments.seconds)
    lines = [
        f"{key} = {json.dumps(value)}"
        for key, value in cost.model_dump().items()
        if value is not None
    ]
    write_file(out, "[cost]\n" + "\n".join(lines) + "\n")
    if arguments.json:
        table = [sample.model_dump() for sample in samples]
        print_json({"cost": cost.model_dump(), "samples": table, "out": arguments.out})
        return 0
    table_view = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", title=cost.measured
    )
    for name in ("step", "share of the clip", "ms", "of a full step"):
        table_view.add_column(name, justify="right")
    for sample in samples:
        table_view.add_row(
            sample.kind,
            f"{sample.share:.3f}",
            f"{1000 * sample.seconds:.2f}",
            f"{sample.seconds / cost.full:.3f}",
        )
    console = Console()
    console.print(table_view)
    console.print(
        f"tiles pay below {cost.break_even():.0%} of a clip; use it with: --cost {arguments.out}"
    )
    return 0
