"""Two examples for the ``--help`` of every command, as one would type them (loads nothing)."""

import shutil
from argparse import RawDescriptionHelpFormatter

WIDTH = 80
EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": (
        "sphinx-nvs demo --out out/demo",
        "sphinx-nvs demo --out out/demo --targets orbit:12:60 --save gif",
    ),
    "render": (
        "sphinx-nvs render --config lite --size 192 --scene photos --out out/photos",
        "sphinx-nvs render --config lite --scenes scenes --out out/all --save all",
    ),
    "plan": (
        "sphinx-nvs plan --config lite --scene photos --targets interpolate:8",
        "sphinx-nvs plan --config lite --scene scene --quality 0.9 --json",
    ),
    "import": (
        "sphinx-nvs import photos --out scene",
        "sphinx-nvs import colmap-project --out scene --reader colmap",
    ),
    "measure": (
        "sphinx-nvs measure --config lite --out cost.toml",
        "sphinx-nvs measure --config lite --seconds 60 --out cost.toml",
    ),
    "warm": (
        "sphinx-nvs warm --config lite",
        "sphinx-nvs warm --config seva-mvsplat --scene photos --device cuda",
    ),
    "calibrate": (
        "sphinx-nvs calibrate --config lite --scenes scenes --out rules.toml",
        "sphinx-nvs calibrate --config lite --mode fine --out rules.toml \\\n"
        "      --scenes procedural:calibration/0-39",
    ),
    "evaluate": (
        "sphinx-nvs evaluate --config lite --scenes scenes --out out/evaluation",
        "sphinx-nvs evaluate --config lite --scenes procedural:report/0-39 \\\n"
        "      --qualities 0.95 --out out/evaluation",
    ),
    "sweep": (
        "sphinx-nvs sweep --config lite --scenes scenes --out out/sweep",
        "sphinx-nvs sweep --config lite --scenes scenes --refresh 2,5,10 \\\n      --out out/sweep",
    ),
    "serve": (
        "sphinx-nvs serve --config lite --port 8000",
        "sphinx-nvs serve --config lite --workers 2 --data jobs",
    ),
    "submit": (
        "sphinx-nvs submit --server http://127.0.0.1:8000 --scene scene --out out",
        "sphinx-nvs submit --scene scene --no-wait",
    ),
    "view": (
        "sphinx-nvs view out/photos",
        "sphinx-nvs view out/photos --port 8081",
    ),
    "plugins": ("sphinx-nvs plugins", "sphinx-nvs plugins --verbose"),
    "describe": (
        "sphinx-nvs describe lite --kind regression",
        "sphinx-nvs describe klogic --json",
    ),
    "check": (
        "sphinx-nvs check lite --kind quality",
        "sphinx-nvs check my-reader --kind scene_reader --sample scene",
    ),
    "new-plugin": (
        "sphinx-nvs new-plugin fast-depth --kind regression",
        "sphinx-nvs new-plugin sharpness --kind mask --out plugins/sharpness",
    ),
    "configs": ("sphinx-nvs configs", "sphinx-nvs configs --json"),
    "schema": ("sphinx-nvs schema", "sphinx-nvs schema --config lite"),
    "doctor": ("sphinx-nvs doctor", "sphinx-nvs doctor --device cuda"),
}


class Help(RawDescriptionHelpFormatter):
    """Help of at most 80 columns whose examples keep their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(WIDTH, shutil.get_terminal_size().columns))


def epilog(command: str) -> str | None:
    """The examples of a command, below its options; ``None`` where there are none."""
    if command not in EXAMPLES:
        return None
    return "\n".join(["examples:", *(f"  {example}" for example in EXAMPLES[command])])
