"""``python -m sphinx_framework`` is ``sphinx-nvs``: the door names the program, as commands do."""

import sys
from importlib import import_module

if __name__ == "__main__":
    sys.exit(import_module("sphinx_framework.cli.program").program())
