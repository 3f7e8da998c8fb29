"""Threads that outlive the work do not keep the program from ending."""

import subprocess
import sys

BEGIN = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from sphinx_framework.cli import strays
from sphinx_framework.cli.program import program
strays.PATIENCE_SECONDS = {patience}
sys.argv = ["sphinx-nvs", "configs", "--json"]
def endless():
    while True:
        time.sleep(0.05)
def slow():
    time.sleep(0.3)
    print("the slow one is done")
pool = ThreadPoolExecutor(1)
pool.submit(int).result()
"""


def ended(work, patience):
    script = BEGIN.format(patience=patience) + work + "\nsys.exit(program())"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )


def test_an_endless_thread_is_named_and_the_program_ends_with_its_answer():
    came = ended("threading.Thread(target=endless, name='pump').start()", patience=0.2)
    assert came.returncode == 0
    assert came.stdout.strip().endswith("}")
    assert "the thread 'pump' of __main__ did not end within 0.2 s" in came.stderr
    assert "must be daemons" in came.stderr


def test_a_thread_that_ends_in_time_is_waited_for_and_an_idle_pool_is_no_stray():
    came = ended("threading.Thread(target=slow).start()", patience=60)
    assert came.returncode == 0
    # While plugins are imported, what is printed goes to stderr, also what another thread prints.
    said = "the slow one is done\n"
    assert came.stdout.count(said) + came.stderr.count(said) == 1
    assert came.stderr.replace(said, "") == ""
