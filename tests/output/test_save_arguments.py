"""What ``save_result`` is handed is checked before a folder is made."""

import pytest

import sphinx_framework as sf
from sphinx_framework.errors import ConfigError


def test_a_result_or_a_path_that_is_none_is_refused_in_a_sentence(result, tmp_path):
    with pytest.raises(ConfigError, match="save_result takes what render returns, got 5"):
        sf.save_result(5, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"path must be a path, .* got 5"):
        sf.save_result(result, 5)
    assert not (tmp_path / "out").exists()
