"""Where a component's checkpoint comes from, as its options say."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sphinx_framework.errors import WeightsError, suggestion
from sphinx_framework.options import CheckpointOptions
from sphinx_framework.weights.hub import PATH_HINT, hub_file
from sphinx_framework.weights.read import check_sha256
from sphinx_framework.weights.web import SCHEMES, web_file

SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """An official file: in a hub repository at a commit, or without one, fetched by hand.

    sha256: of the file, or its first digits, where they are known.
    """

    file: str
    repo: str = ""
    commit: str | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One checkpoint: an official name, a path, an address, or, with ``file``, a repository.

    what: the component, begins every message. weights: what the user gave; of an address the
        options must have the SHA-256.
    options: the places that the user may change. names: further valid values, for suggestions.
    file: in a folder or repository that ``weights`` names; without it, neither is one.
    variable, download: of official files that are in no repository: the environment variable that
        names their folder (default: ``~/.cache/sphinx-framework/<what>``), and where to get them.
    hint: the ways out, appended to every hint.
    """

    what: str
    weights: str
    options: CheckpointOptions = field(default_factory=CheckpointOptions)
    official: Mapping[str, Pin] = field(default_factory=dict)
    names: Iterable[str] = (RANDOM,)
    file: str = ""
    variable: str = ""
    download: str = ""
    endpoint: str | None = None
    hint: str = ""

    def path(self) -> Path:
        """The local file, fetched if need be, with its SHA-256 checked where one is known.

        Raises:
            WeightsError: it cannot be had, or is another file.
        """
        pin = self.official.get(self.weights)
        path = self._given() if pin is None else self._official(pin)
        for expected in (self.options.weights_sha256, pin and pin.sha256):
            if expected:
                check_sha256(path, expected, self.what)
        return path

    def _official(self, pin: Pin) -> Path:
        name = self.options.weights_file or pin.file
        usual = "" if self.options.weights_folder else pin.repo
        repo = self.options.weights_repo or usual
        if repo:
            return self._fetched(repo, name, pin.commit if repo == pin.repo else None)
        if not self.variable and not self.options.weights_folder:
            raise WeightsError(
                f"{self.what}: there are no weights {self.weights!r}: no released checkpoint of "
                "this model is known to this project.",
                hint=self.hint,
            )
        folder = self._folder()
        if (folder / name).is_file():
            return folder / name
        by_variable = f" or ${self.variable}" if self.variable else ""
        raise WeightsError(
            f"{self.what}: the official checkpoint {name} is not in {folder}.",
            hint=f"Download {self.download or 'it'} into that folder, name its folder by "
            f"weights_folder{by_variable}, or give its path as weights. {self.hint}",
        )

    def _given(self) -> Path:
        if self.weights.startswith(SCHEMES):
            sha256 = self.options.weights_sha256 or ""
            return web_file(self.weights, sha256=sha256, what=self.what, hint=self._ways)
        path = Path(self.weights).expanduser()
        if self.file and path.is_dir():
            return self._within(path)
        if path.is_file():
            return path
        looks_local = self.weights.endswith(SUFFIXES) or self.weights.startswith((".", "~", "/"))
        if self.file and not looks_local:
            known = next((p for p in self.official.values() if p.repo == self.weights), None)
            return self._fetched(self.weights, self.file, known.commit if known else None)
        names = [*self.official, *self.names]
        near = suggestion(self.weights, names)
        raise WeightsError(
            f"{self.what}: no checkpoint at {self.weights!r}.",
            hint=f"{near}Give the path of a checkpoint, or one of: "
            f"{', '.join(map(repr, names))}. {self.hint}",
        )

    def _within(self, folder: Path) -> Path:
        if not (folder / self.file).is_file():
            raise WeightsError(
                f"{self.what}: the folder {folder} has no {self.file}.",
                hint=f"Give the folder of a whole download. {self.hint}",
            )
        return folder / self.file

    @property
    def _ways(self) -> str:
        return self.hint or PATH_HINT

    def _fetched(self, repo: str, name: str, commit: str | None) -> Path:
        return hub_file(
            repo,
            name,
            revision=self.options.weights_revision or commit,
            what=self.what,
            endpoint=self.endpoint,
            hint=self._ways,
        )

    def _folder(self) -> Path:
        chosen = self.options.weights_folder or os.environ.get(self.variable)
        if chosen:
            return Path(chosen).expanduser()
        return Path.home() / ".cache" / "sphinx-framework" / self.what
