"""``measure``: a cost table of this machine, for predictions and for the choice of tiles."""

import argparse
from math import inf

import tomli_w
from rich import box
from rich.console import Console
from rich.table import Table

from sphinx_framework.cli.answer import print_json
from sphinx_framework.cli.sizes import read_size
from sphinx_framework.config import load_config
from sphinx_framework.engine.admission import check_size
from sphinx_framework.engine.engine import Engine
from sphinx_framework.errors import ConfigError
from sphinx_framework.folders.single import open_file, write_file
from sphinx_framework.scenes.load import load_scene
from sphinx_framework.study.step_costs import measure_costs


def measure(arguments: argparse.Namespace) -> int:
    """Time steps of every kind, fit the cost model, and write it as a ``[cost]`` table."""
    if not 0 < arguments.seconds < inf:
        raise ConfigError(
            f"--seconds {arguments.seconds:g}: must be a number above 0.",
            hint="About 20 seconds a size are enough on a quiet machine.",
        )
    out = open_file(arguments.out, "--out", scenes=[arguments.scene])
    config = load_config(arguments.config, arguments.overrides)
    engine = Engine.from_config(config, device=arguments.device)
    scene = load_scene(arguments.scene, size=config.size, fit=config.fit)
    sizes = _sizes(arguments.sizes)
    for size in (scene.targets.image_size, *sizes):
        check_size(size, engine.components, config)
    others = [
        load_scene(arguments.scene, size=size, fit=config.fit)
        for size in sizes
        if size != scene.targets.image_size
    ]
    cost, samples = measure_costs(engine, scene, arguments.seconds, others)
    table = cost.model_dump(mode="json", exclude_none=True, exclude={"sizes"})
    if cost.sizes:
        table["sizes"] = [size.model_dump(mode="json") for size in cost.sizes]
    write_file(out, tomli_w.dumps({"cost": table}))
    if arguments.json:
        steps = [sample.model_dump() for sample in samples]
        print_json({"cost": cost.model_dump(), "samples": steps, "out": arguments.out})
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


def _sizes(text: str) -> list[tuple[int, int]]:
    """``96x96,192x192``: heights and widths."""
    return [read_size(word, "--sizes") for word in text.split(",")] if text else []
