"""The k rules: which plan a quality ratio allows, and where that was measured (torch-free).

The format of a rule file (``sphinx-framework/rules/1``, TOML) is described in ``docs/rules.md``.
"""

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Literal

import tomli_w
from pydantic import Field, ValidationError, model_validator

from sphinx_framework.errors import ConfigError, raised, suggestion
from sphinx_framework.frame_plan import FramePlan
from sphinx_framework.options import Options, first_problem
from sphinx_framework.policy.rule_table import RuleTable, plan_of

__all__ = ["SCHEMA", "Clusters", "Provenance", "RuleFile", "RuleTable", "Rules", "load_rules"]

SCHEMA = "sphinx-framework/rules/1"
RESOURCE = re.compile(r"^(?P<package>[A-Za-z_]\w+(\.\w+)*):(?P<file>[^/\\]+)$")
MEANING = {
    "paper": "a quality is the share of full diffusion's no-reference score (eq. 1) that is kept; "
    "1 is full diffusion, bit for bit",
    "truth": "a quality is the share of the best similarity to ground truth, (SSIM + GMS) / 2, "
    "that any plan of the grid reaches on such frames; 1 is the cheapest plan that reaches it to "
    "three decimals",
}
HINT = "Give the path of a rule file, or package:file; the format is in docs/rules.md."


class Provenance(Options):
    """Where the rules were measured."""

    regression: str = ""
    diffusion: str = ""
    dataset: str = ""
    date: str = ""
    scorer: str = Field(
        default="", description="quality component whose scores the ratios are made of"
    )
    source: str = ""
    notes: str = ""
    confidence: float | None = Field(
        default=None, gt=0, lt=1, description="level of the rows' lower bounds"
    )
    min_samples: int = Field(
        default=0, ge=0, description="rows with fewer samples are reported when they are used"
    )


class Clusters(Options):
    """How a scene's cluster is found; one entry per cluster in every list that is given."""

    embedder: str = Field(default="", description="embedder component that the centres belong to")
    names: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    centres: tuple[tuple[float, ...], ...] = ()
    centres_file: str = Field(default="", description="beside the rule file: .safetensors or .npy")
    centres_url: str = Field(
        default="", description="fetched once, and checked against centres_sha256"
    )
    centres_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    notes: str = ""

    @model_validator(mode="after")
    def _is_one_source(self) -> "Clusters":
        given = [n for n in ("centres", "centres_file", "centres_url") if getattr(self, n)]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(given)}")
        if self.centres_url and not self.centres_sha256:
            raise ValueError("centres_url needs centres_sha256")
        if len({len(centre) for centre in self.centres}) > 1:
            raise ValueError("centres must have one length")
        return self


class Rules(Options):
    """A rule file.

    num_steps: of the step grid that the starts count; other grids are reached by proportion.
    Costs (steps per frame) fall with the ratio and rise with the quality, by construction.
    gamma: exponent of the reference score that the ratios are meant for (paper eq. 2).
    objective: what a quality is a share of. ``paper``: full diffusion's score (eq. 1), so quality 1
        is full diffusion. ``truth``: the best similarity to ground truth that any plan reached on
        calibration scenes, so quality 1 is the cheapest plan that reaches it to three decimals
        and needs a table of its own.
    placeholder: the numbers were not measured; every use says so.
    """

    format: str = Field(alias="schema", pattern=f"^{SCHEMA}$")
    name: str
    num_steps: int = Field(ge=1)
    gamma: float = Field(default=0.5, gt=0)
    objective: Literal["paper", "truth"] = "paper"
    placeholder: bool = False
    provenance: Provenance = Provenance()
    clusters: Clusters = Clusters()
    tables: tuple[RuleTable, ...] = Field(alias="table", min_length=1)

    @property
    def qualities(self) -> tuple[float, ...]:
        """Measured quality factors, ascending."""
        return tuple(sorted({table.quality for table in self.tables}))

    @property
    def num_clusters(self) -> int | None:
        """Number of scene clusters, or ``None`` when the rules do not depend on them."""
        numbers = [table.cluster for table in self.tables if table.cluster is not None]
        return max(numbers) + 1 if numbers else None

    def table(self, quality: float, cluster: int | None) -> RuleTable:
        """The table of a measured quality and a cluster."""
        return next(t for t in self.tables if (t.quality, t.cluster) == (quality, cluster))

    @model_validator(mode="after")
    def _quality_1_means_what_the_objective_says(self) -> "Rules":
        if (1.0 in self.qualities) != (self.objective == "truth"):
            raise ValueError(
                "quality 1 is full diffusion under objective 'paper' (no table), and the best plan "
                "under 'truth' (a table is needed)"
            )
        return self

    @model_validator(mode="after")
    def _is_complete(self) -> "Rules":
        count = self.num_clusters
        wanted = [None] if count is None else list(range(count))
        for quality in self.qualities:
            found = [t.cluster for t in self.tables if t.quality == quality]
            if sorted(found, key=str) != sorted(wanted, key=str):
                raise ValueError(
                    f"quality {quality:g} needs one table for each cluster of {wanted}, has {found}"
                )
        for name in ("names", "prompts", "centres"):
            if len(getattr(self.clusters, name)) not in (0, count):
                raise ValueError(f"clusters.{name} needs one entry per cluster ({count})")
        for table in self.tables:
            latest = max(start for _, _, start in table.rows)
            if latest > self.num_steps:
                raise ValueError(f"start {latest} exceeds num_steps {self.num_steps}")
        if len({bool(table.steps) for table in self.tables}) > 1:
            raise ValueError("steps: give them in all tables, or in none")
        return self

    @model_validator(mode="after")
    def _better_frames_never_cost_more(self) -> "Rules":
        for table in self.tables:
            costs = [self.plan(table, low).cost(self.num_steps) for low, _, _ in table.rows]
            for before, after in pairwise(costs):
                if before < after:
                    raise ValueError(
                        f"quality {table.quality:g}: the steps of a frame rise with its ratio "
                        f"({before} to {after}): the better frame would cost more"
                    )
        return self

    def plan(self, table: RuleTable, ratio: float) -> FramePlan:
        """What a table says of a ratio, on the rules' grid."""
        return plan_of(table, ratio, self.num_steps)

    @model_validator(mode="after")
    def _a_higher_quality_never_costs_less(self) -> "Rules":
        for cluster in {table.cluster for table in self.tables}:
            ordered = [self.table(quality, cluster) for quality in self.qualities]
            for lower, higher in pairwise(ordered):
                self._compare(lower, higher)
        return self

    def _compare(self, lower: RuleTable, higher: RuleTable) -> None:
        edges = {edge for t in (lower, higher) for low, high, _ in t.rows for edge in (low, high)}
        for edge in sorted(edges):
            dear, cheap = (self.plan(t, edge) for t in (higher, lower))
            if dear.cost(self.num_steps) < cheap.cost(self.num_steps):
                raise ValueError(
                    f"at ratio {edge:g}, quality {higher.quality:g} (plan {dear.text()}) starts "
                    f"later than quality {lower.quality:g} (plan {cheap.text()}), or takes fewer "
                    f"steps (cluster {lower.cluster})"
                )

    def to_toml(self) -> str:
        """The rule file's text; reading it gives equal rules."""
        stated = {
            "schema": SCHEMA,
            "name": self.name,
            "num_steps": self.num_steps,
            "gamma": self.gamma,
            "objective": self.objective,
        }
        rest = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return tomli_w.dumps(stated | rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """Rules and the folder they lie in (files they name are looked for there)."""

    rules: Rules
    folder: Traversable
    where: str


def load_rules(where: str) -> RuleFile:
    """Read a rule file by path or as ``package:file``.

    Raises :class:`ConfigError` naming the file and the first thing that is wrong in it.
    """
    folder, name = _locate(where)
    try:
        data = tomllib.loads((folder / name).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"rules {where}: not a valid TOML file: {error}.") from None
    except OSError:
        raise ConfigError(
            f"rules {where}: no such file.", hint=f"{suggestion(name, _rule_files(folder))}{HINT}"
        ) from None
    try:
        rules = Rules.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"rules {where}: {first_problem(error)}.") from None
    return RuleFile(rules=rules, folder=folder, where=where)


def _locate(where: str) -> tuple[Traversable, str]:
    resource = RESOURCE.match(where)
    if resource is None:
        path = Path(where)
        return path.parent, path.name
    try:
        return files(resource["package"]), resource["file"]
    except ModuleNotFoundError:
        raise ConfigError(
            f"rules {where}: there is no package {resource['package']!r}.", hint=HINT
        ) from None
    except Exception as error:  # a module is no package, and importing one may do anything
        raise ConfigError(
            f"rules {where}: {resource['package']!r} is no package that holds files "
            f"({raised(error)}).",
            hint=HINT,
        ) from None


def _rule_files(folder: Traversable) -> list[str]:
    if not folder.is_dir():
        return []
    return [entry.name for entry in folder.iterdir() if entry.name.endswith(".toml")]
