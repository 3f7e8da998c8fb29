"""A killed import leaves whole files or none; ``benchmarks/kills.py`` does it a hundred times."""

import os
import sys

import kills

PROGRAM = (sys.executable, "-m", "sphinx_framework")


def test_import_killed_at_random_moments_leaves_nothing_half_and_runs_again(photo_scene, tmp_path):
    fault = kills.kill_at_random(
        [*PROGRAM, "import", str(photo_scene), "--out", str(tmp_path / "out")],
        photo_scene,
        tmp_path / "out",
        3,
        environment={**os.environ, "SPHINX_FRAMEWORK_PLUGINS": "none"},
    )
    assert fault.found == []


def test_a_half_file_and_a_stray_one_are_found(photo_scene, tmp_path):
    """The check itself: a writer that writes in place, and stands still in the second run."""
    writer, out, half = tmp_path / "writer.py", tmp_path / "out", tmp_path / "half"
    writer.write_text(
        "import pathlib, sys, time\n"
        "out, half = map(pathlib.Path, sys.argv[1:]); again = out.exists() and not half.exists()\n"
        "out.mkdir(exist_ok=True)\n"
        "with (out / 'a.txt').open('w') as file:\n"
        "    for _ in range(40):\n"
        "        file.write('x' * 100); file.flush()\n"
        "        if again:\n"
        "            half.touch(); time.sleep(600)\n"
        "(out / 'b.txt').write_text('b')\n"
    )
    command = [sys.executable, str(writer), str(out), str(half)]
    fault = kills.kill_at_random(command, photo_scene, out, 1, begun=half.exists)
    assert fault.stopped == 1
    assert fault.found == ["a.txt has 100 bytes of 4000"]
