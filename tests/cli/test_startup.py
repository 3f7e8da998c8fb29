"""Commands that only tell something load no heavy package, whatever plugins are installed."""

import json
import signal
import subprocess
import sys

import pytest

from sphinx_framework.cli.program import program

HEAVY = ("torch", "numpy", "numba", "diffusers", "PIL", "av", "safetensors")
SCRIPT = """
import json, sys
from sphinx_framework.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as stopped:
    code = stopped.code
heavy = sorted(name for name in {heavy!r} if name in sys.modules)
print(json.dumps({{"code": code, "heavy": heavy}}), file=sys.stderr)
"""


def run(*arguments):
    script = SCRIPT.format(heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout, json.loads(done.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize("arguments", [["--help"], ["render", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    _, ended = run(*arguments)
    assert ended == {"code": 0, "heavy": []}


@pytest.mark.parametrize("arguments", [["plugins"], ["plugins", "--json"]])
def test_listing_the_installed_plugins_loads_nothing_heavy(arguments):
    out, ended = run(*arguments)
    assert ended == {"code": 0, "heavy": []}
    assert out


def test_importing_the_package_loads_nothing_heavy():
    script = f"import sys, sphinx_framework; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_listing_configs_needs_no_torch():
    code = (
        "import sys; from sphinx_framework.cli.main import main; "
        "code = main(['configs', '--json']); sys.exit(code or 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_an_interrupt_while_it_starts_or_ends_is_one_word(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("sphinx_framework.cli.main.main", interrupted)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert program() == 130
        assert all(signal.getsignal(number) == signal.SIG_IGN for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err == "stopped.\n"
