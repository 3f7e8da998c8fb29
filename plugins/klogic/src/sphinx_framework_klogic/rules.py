"""Rule files: which start step a quality ratio allows, and where that was measured (torch-free).

The format (``sphinx-framework/rules/1``, TOML) is described in this plugin's README.
"""

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA = "sphinx-framework/rules/1"
Row = tuple[float, float, int]


class _Table(BaseModel):
    """Immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Provenance(_Table):
    """Where the rules were measured."""

    regression: str = ""
    diffusion: str = ""
    dataset: str = ""
    date: str = ""
    scorer: str = Field("", description="quality component whose scores the ratios are made of")
    source: str = ""
    notes: str = ""
    confidence: float | None = Field(
        None, gt=0, lt=1, description="level of the rows' lower bounds"
    )
    min_samples: int = Field(
        0, ge=0, description="rows with fewer samples are reported when they are used"
    )


class Clusters(_Table):
    """How a scene's cluster is found; one entry per cluster in every list that is given."""

    embedder: str = Field("", description="embedder component that the centres belong to")
    names: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    centres: tuple[tuple[float, ...], ...] = ()
    centres_file: str = Field("", description="beside the rule file: .safetensors or .npy")
    centres_url: str = Field("", description="fetched once, and checked against centres_sha256")
    centres_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
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


class RuleTable(_Table):
    """The rule of one quality and cluster: rows ``[low, high, start]`` for ``low <= ratio < high``.

    Rows are contiguous and rise in ratio and start. A ratio at or above the last ``high`` is good
    enough to serve the regression frame; one below the first ``low`` starts at 0.
    """

    quality: float = Field(gt=0, le=1)
    cluster: int | None = Field(None, ge=0)
    rows: tuple[Row, ...] = Field(min_length=1)
    samples: tuple[int, ...] = Field((), description="per row: how many measurements it rests on")
    lower_bound: tuple[float, ...] = Field(
        (), description="per row: lower confidence bound of the achieved share of full diffusion"
    )
    full_ratio: tuple[float, ...] = Field(
        (), description="per row: mean ratio that full diffusion reaches on such frames"
    )
    notes: str = ""

    @model_validator(mode="after")
    def _is_a_monotone_rule(self) -> "RuleTable":
        for low, high, start in self.rows:
            if not low < high:
                raise ValueError(f"row [{low}, {high}, {start}]: low must be below high")
            if low < 0 or start < 0:
                raise ValueError(f"row [{low}, {high}, {start}]: must not be negative")
        for before, after in pairwise(self.rows):
            if before[1] != after[0]:
                raise ValueError(f"rows {list(before)} and {list(after)} leave a gap or overlap")
            if before[2] > after[2]:
                raise ValueError(f"start falls from row {list(before)} to row {list(after)}")
        for name in ("samples", "lower_bound", "full_ratio"):
            if len(getattr(self, name)) not in (0, len(self.rows)):
                raise ValueError(f"{name} needs one entry per row ({len(self.rows)})")
        return self


class Rules(_Table):
    """A rule file.

    num_steps: of the step grid that the starts count; other grids are reached by proportion.
    gamma: exponent of the reference score that the ratios are meant for (paper eq. 2).
    objective: what a quality is a share of. ``paper``: full diffusion's score (eq. 1), so quality 1
        is full diffusion. ``truth``: the best similarity to ground truth that any plan reached on
        calibration scenes, so quality 1 is that plan and needs a table of its own.
    placeholder: the numbers were not measured; every use says so.
    """

    format: str = Field(alias="schema", pattern=f"^{SCHEMA}$")
    name: str
    num_steps: int = Field(ge=1)
    gamma: float = Field(0.5, gt=0)
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
            if table.rows[-1][2] > self.num_steps:
                raise ValueError(f"start {table.rows[-1][2]} exceeds num_steps {self.num_steps}")
        return self

    @model_validator(mode="after")
    def _higher_quality_never_starts_later(self) -> "Rules":
        for cluster in {table.cluster for table in self.tables}:
            ordered = [self.table(quality, cluster) for quality in self.qualities]
            for lower, higher in pairwise(ordered):
                self._compare(lower, higher)
        return self

    def _compare(self, lower: RuleTable, higher: RuleTable) -> None:
        edges = {edge for t in (lower, higher) for low, high, _ in t.rows for edge in (low, high)}
        for edge in sorted(edges):
            early, late = self._start(higher, edge), self._start(lower, edge)
            if early > late:
                raise ValueError(
                    f"at ratio {edge:g}, quality {higher.quality:g} starts at {early}, later than "
                    f"quality {lower.quality:g} at {late} (cluster {lower.cluster})"
                )

    def _start(self, table: RuleTable, ratio: float) -> int:
        if ratio >= table.rows[-1][1]:
            return self.num_steps
        return next((start for low, high, start in table.rows if low <= ratio < high), 0)
