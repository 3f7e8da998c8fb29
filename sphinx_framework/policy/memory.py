"""What a pipeline needs of a device's memory, and how it is made to fit: pure arithmetic on counts.

A footprint is counted, not measured (``benchmarks/footprints.py``). Ways to fit are tried from
the cheapest on: all on the device; one image of the autoencoder at a time; idle components on
the host; the latent cache on the host. Where none fits, the numbers say by how much.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from sphinx_framework.errors import ConfigError
from sphinx_framework.options import Options
from sphinx_framework.policy.schedule import Mode

GIGA = 1e9
# A device's own context, scratch memory of kernels and fragmentation: an estimate, not measured.
RESERVE = 1.5
SIZE = re.compile(r"(?P<count>\d+(\.\d+)?)\s*(?P<unit>GB|G|MB|M)?", re.IGNORECASE)


class Weights(Options):
    """GB of the networks, by role."""

    regression: float = Field(default=0, ge=0, description="of the regression model")
    quality: float = Field(default=0, ge=0, description="of the quality estimator")
    embedder: float = Field(default=0, ge=0, description="of the embedder")
    diffusion: float = Field(default=0, ge=0, description="of everything in the diffusion model")


class Working(Options):
    """GB that a stage has alive at once, beside weights and the latent cache."""

    regression: float = Field(default=0, ge=0, description="the regression network")
    quality: float = Field(default=0, ge=0, description="scores of the views")
    encode: float = Field(default=0, ge=0, description="the autoencoder on a batch of images")
    condition: float = Field(default=0, ge=0, description="image encoders")
    denoise: float = Field(
        default=0, ge=0, description="a full pass, and what is constant of a request"
    )
    decode: float = Field(default=0, ge=0, description="the autoencoder on a batch of latents")


class Cache(Options):
    """GB of the latent cache of one clip."""

    frames: float = Field(default=0, ge=0, description="for steps of some frames (mode fine)")
    tiles: float = Field(default=0, ge=0, description="for steps of some tiles (mode selective)")


class Footprint(Options):
    """The table ``[memory]`` of a pipeline: what ``benchmarks/footprints.py`` counted.

    Counted at ``size`` and ``frames`` in half precision; other sizes are taken in proportion to
    their pixels, float32 as twice as much.
    """

    size: tuple[int, int] = Field(description="(height, width) that was counted")
    frames: int = Field(ge=1, description="frames of a clip that were counted")
    batch_option: str = Field(description="the diffusion option that says how many images at once")
    batch: int = Field(ge=1, description="images at once that were counted")
    weights: Weights = Field(default=Weights(), description="bytes of the weights by component")
    working: Working = Field(default=Working(), description="bytes that stages work in")
    cache: Cache = Field(default=Cache(), description="bytes of latent caches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A pipeline as it is asked for.

    graphs: steps are replayed, which needs the cache a second time, and nothing of it to move.
    """

    size: tuple[int, int]
    frames: int
    mode: Mode
    full_precision: bool
    graphs: bool = False

    def cache(self, footprint: Footprint) -> float:
        """GB of its latent cache, before precision and size."""
        caches = {"fine": footprint.cache.frames, "selective": footprint.cache.tiles}
        return caches.get(self.mode, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """One way to run. ``stages``: GB on the device at most in each; ``cache``: GB of it."""

    half: bool
    offload: bool
    cache_on: Literal["device", "host"]
    one_image: bool
    cache: float
    stages: dict[str, float]

    @property
    def peak(self) -> float:
        """GB of the largest stage."""
        return max(self.stages.values())

    def overrides(self, footprint: Footprint, memory_gb: float) -> list[str]:
        """The config keys that make it so; a cache on the device may take what is left there."""
        asked = [f"engine.offload={str(self.offload).lower()}", f"engine.cache_on={self.cache_on}"]
        left = memory_gb - self.stages["denoise"] + self.cache
        if self.cache_on == "device" and left > 0:
            asked.append(f"engine.cache_budget_mb={1000 * left:.0f}")
        if self.one_image:
            asked.append(f"diffusion.{footprint.batch_option}=1")
        return [*asked, *(["diffusion.dtype=bfloat16"] if self.half else [])]

    def text(self) -> str:
        """One line: what is done, and the memory of every stage."""
        done = [
            "diffusion in bfloat16" if self.half else "",
            "one image at a time through the autoencoder" if self.one_image else "",
            "idle components on the host" if self.offload else "all components on the device",
            f"latent cache of {self.cache:.1f} GB on the {self.cache_on}" if self.cache else "",
            "which every partial step copies to the device"
            if self.cache and self.cache_on == "host"
            else "",
        ]
        stages = ", ".join(f"{name} {size:.1f}" for name, size in self.stages.items())
        return f"{'; '.join(filter(None, done))}; GB by stage: {stages}"


def plan_memory(footprint: Footprint, demand: Demand, memory_gb: float) -> MemoryPlan:
    """The cheapest way that fits; raises :class:`ConfigError` with the numbers where none does."""
    tried = list(_ways(footprint, demand))
    for way in tried:
        if way.peak <= memory_gb:
            return way
    least = min(tried, key=lambda way: way.peak)
    stage = max(least.stages, key=lambda name: least.stages[name])
    height, width = demand.size
    raise ConfigError(
        f"{memory_gb:g} GB are not enough: {demand.frames} frames of {height}x{width} pixels in "
        f"mode {demand.mode} need {least.peak:.1f} GB in stage {stage}, even so: {least.text()}.",
        hint="Give fewer frames (diffusion.clip_frames), a smaller size, or more memory.",
    )


def read_memory(text: str) -> float:
    """``24GB``, ``24`` or ``512MB`` as GB; raises :class:`ConfigError` for anything else."""
    found = SIZE.fullmatch(text.strip())
    if found is None or float(found["count"]) == 0:
        raise ConfigError(
            f"--memory {text}: not an amount of memory in GB or MB.",
            hint="Give it like this: --memory 24GB.",
        )
    small = (found["unit"] or "").upper().startswith("M")
    return float(found["count"]) / (1000 if small else 1)


def _ways(footprint: Footprint, demand: Demand) -> Iterator[MemoryPlan]:
    places: tuple[Literal["device", "host"], ...] = ("device", "host")
    for half in (False, True) if demand.full_precision else (False,):
        movable = demand.cache(footprint) and not demand.graphs
        for cache_on in places if movable else places[:1]:
            for offload in (False,) if demand.graphs else (False, True):
                for one_image in (False, True):
                    yield _way(footprint, demand, half, cache_on, offload, one_image)


def _way(
    footprint: Footprint,
    demand: Demand,
    half: bool,
    cache_on: Literal["device", "host"],
    offload: bool,
    one_image: bool,
) -> MemoryPlan:
    wide = 2 if demand.full_precision and not half else 1
    pixels = demand.size[0] * demand.size[1] / (footprint.size[0] * footprint.size[1])
    clip = wide * pixels * demand.frames / footprint.frames
    images = wide * pixels / (footprint.batch if one_image else 1)
    cache = clip * demand.cache(footprint)
    copies = (2 if demand.graphs else 1) if cache_on == "device" else 0
    working, weights = footprint.working, footprint.weights
    diffusion = wide * weights.diffusion
    own = {
        "regression": (weights.regression, working.regression),
        "quality": (weights.quality + weights.embedder, pixels * working.quality),
        "encode": (diffusion, images * working.encode),
        "condition": (diffusion, max(images * working.encode, wide * working.condition)),
        "denoise": (diffusion, clip * working.denoise + copies * cache),
        "decode": (diffusion, images * working.decode),
    }
    everything = weights.regression + weights.quality + weights.embedder + diffusion
    return MemoryPlan(
        half=half,
        offload=offload,
        cache_on=cache_on,
        one_image=one_image,
        cache=cache,
        stages={
            stage: RESERVE + alive + (held if offload else everything)
            for stage, (held, alive) in own.items()
        },
    )
