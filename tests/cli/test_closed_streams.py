"""A program whose standard streams were closed by its starter works, and ends as it otherwise does.

Real processes: a shell closes the descriptors, as ``>&-`` on a cron job's line does.
"""

import os
import shlex
import subprocess
import sys

import pytest

CLOSED = [">&-", "2>&-", "<&- >&- 2>&-"]


def ended(command, closing, *arguments):
    line = [sys.executable, "-m", "sphinx_framework", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f"{shlex.join(line)} {closing}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(command.plugins.path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("closing", CLOSED)
def test_a_command_that_only_tells_something(command, closing):
    for more in ((), ("--json",)):
        done = ended(command, closing, "plugins", *more)
        assert done.returncode == 0, done.stderr
        assert "Error" not in done.stderr


@pytest.mark.parametrize("closing", [">&-", "<&- >&- 2>&-"])
def test_a_render_is_whole_and_a_success(command, closing):
    given = ("--config", command.config, "--scene", command.scene, "--device", "cpu")
    done = ended(command, closing, "render", *given, "--out", command.out)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert (command.out / "report.json").is_file()


@pytest.mark.parametrize("closing", CLOSED)
def test_bad_input_is_still_2(command, closing):
    done = ended(command, closing, "plan", "--config", command.config, "--scene", "nowhere")
    assert done.returncode == 2
    assert ("nowhere" in done.stderr) == ("2>" not in closing)


def test_a_child_process_has_the_streams_that_were_closed(tmp_path):
    script = (
        "import subprocess, sys\n"
        "from sphinx_framework.cli.streams import open_closed_streams\n"
        "open_closed_streams()\n"
        "child = 'import sys; print(1); sys.exit(None in (sys.stdin, sys.stdout, sys.stderr))'\n"
        "sys.exit(subprocess.run([sys.executable, '-c', child]).returncode)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    line = shlex.join([sys.executable, str(tmp_path / "parent.py")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        ["sh", "-c", f"{line} <&- >&- 2>&-"], env=environment, capture_output=True, check=False
    )
    assert run.returncode == 0
