"""A command of a plugin."""

import argparse
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("--name", default="you")


def hello(given: argparse.Namespace) -> int:
    """Print a greeting."""
    sys.stdout.write(f"hello {given.name}\n")
    return 0
