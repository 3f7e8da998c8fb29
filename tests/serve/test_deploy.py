"""The files of ``deploy/`` name flags, plugins and paths that there are."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from sphinx_framework.cli.main import build_parser

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def container_words():
    stateful = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))[1]
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    return container["args"]


def compose_words():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return shlex.split(compose["services"]["serve"]["command"])


def image_words():
    line = re.search(r"^CMD \[(.*)\]$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    return [word.strip(' "') for word in line[1].split(",")]


@pytest.mark.parametrize("words", [container_words, compose_words, image_words])
def test_the_server_is_started_with_flags_that_it_has(words):
    given = build_parser().parse_args(["serve", *words()])
    assert given.config == "lite"
    assert given.host == "0.0.0.0"
    assert given.api_keys, "open to the network, so with keys"


def test_what_the_image_copies_and_installs_is_there():
    text = (DEPLOY / "Dockerfile").read_text()
    for plugin in re.findall(r"\./(plugins/\w+)", text):
        assert (ROOT / plugin / "pyproject.toml").is_file(), plugin
    assert (ROOT / "constraints.txt").is_file()


def test_the_grace_period_is_longer_than_the_servers():
    stateful = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))[1]
    words = container_words()
    grace = stateful["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > float(words[words.index("--stop-seconds") + 1])
