from typing import get_args

import pytest

from sphinx_framework.plugin import API_VERSION, KINDS, Capabilities, ComponentSpec, Kind


def test_kinds_and_their_type_agree():
    assert set(KINDS) == set(get_args(Kind))


def test_a_spec_claims_nothing_by_default():
    spec = ComponentSpec(kind="diffusion", name="mine", factory="a:B")
    assert spec.capabilities == Capabilities(
        frame_subset=False, block_sparse=False, max_frames=None
    )
    assert spec.api == API_VERSION
    assert not spec.non_commercial


def test_specs_are_values():
    first = ComponentSpec(kind="mask", name="mine", factory="a:B")
    assert first == ComponentSpec(kind="mask", name="mine", factory="a:B")
    with pytest.raises(AttributeError):
        first.name = "other"  # type: ignore[misc]


def test_the_distributions_of_this_project_are_those_of_the_repository():
    import tomllib
    from pathlib import Path

    from sphinx_framework.registry.discovery import OURS

    files = (Path(__file__).parents[1] / "plugins").glob("*/pyproject.toml")
    names = {tomllib.loads(file.read_text())["project"]["name"] for file in files}
    assert names == OURS
