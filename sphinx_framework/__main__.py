"""``python -m sphinx_framework`` is ``sphinx-nvs``."""

import sys

from sphinx_framework.cli.program import program

if __name__ == "__main__":
    sys.exit(program())
