"""What a plugin's import changes for the whole process is undone and told."""

import logging
import signal
import sys
from pathlib import Path

import pytest
import torch

from sphinx_framework.registry import Registry

CHANGES = {
    "the current folder": "import os\nos.chdir('/')",
    "the handling of Ctrl-C": "import signal\nsignal.signal(signal.SIGINT, print)",
    "the root logger": "import logging\nlogging.getLogger().setLevel(1)",
    "torch's default type": "import torch\ntorch.set_default_dtype(torch.float64)",
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_an_import_changes_for_everybody_is_undone_and_told(plugin_folder, capsys, what):
    plugin_folder.install("rude", CHANGES[what])
    before = Path.cwd(), signal.getsignal(signal.SIGINT), logging.getLogger().level
    Registry.from_entry_points(plugin_folder.points())
    assert (Path.cwd(), signal.getsignal(signal.SIGINT), logging.getLogger().level) == before
    assert torch.get_default_dtype() == torch.float32
    told = capsys.readouterr().err
    assert f"plugin 'rude' (sphinx-framework-rude 1.2) changed {what}; that is undone." in told


def test_a_plugin_that_closes_stdout_at_import_closes_nothing(plugin_folder, capsys):
    plugin_folder.install("rude", "import sys\nsys.stdout.close()")
    Registry.from_entry_points(plugin_folder.points())
    sys.stdout.write("still here")
    assert "still here" in capsys.readouterr().out
