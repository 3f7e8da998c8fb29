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
    """The check itself: a writer that writes in place is caught."""
    writer = tmp_path / "writer.py"
    writer.write_text(
        "import pathlib, sys, time\n"
        "out = pathlib.Path(sys.argv[1]); out.mkdir(exist_ok=True)\n"
        "with (out / 'a.txt').open('w') as file:\n"
        "    for _ in range(40):\n"
        "        file.write('x' * 100); file.flush(); time.sleep(0.01)\n"
    )
    out = tmp_path / "out"
    fault = kills.kill_at_random([sys.executable, str(writer), str(out)], photo_scene, out, 3)
    assert fault.stopped
    assert any("bytes of 4000" in text for text in fault.found)
