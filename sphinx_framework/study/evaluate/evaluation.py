"""Running every system on every scene: one JSON file per scene, so that a killed run resumes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

import torch
from torch import Tensor

from sphinx_framework.engine.engine import Engine
from sphinx_framework.engine.result import RenderResult, Report
from sphinx_framework.metrics import SMALLEST_SSIM_SIDE, gradient_similarity, psnr, sharpness, ssim
from sphinx_framework.perceptual import Distance
from sphinx_framework.protocols import Embedder
from sphinx_framework.scenes.fingerprint import fingerprint
from sphinx_framework.study.calibrate.samples import SceneSource
from sphinx_framework.study.evaluate.consistency import feature_difference, warped_difference
from sphinx_framework.study.evaluate.records import (
    Measured,
    SceneRecord,
    SystemRecord,
    known,
    read_record,
    record_text,
)
from sphinx_framework.study.evaluate.settings import (
    Settings,
    engine_settings,
    refuse_other_settings,
    scene_seed,
    with_files,
)
from sphinx_framework.study.evaluate.systems import System
from sphinx_framework.study.files import file_stem, write_whole
from sphinx_framework.types import Scene

HOLE_OPACITY = 0.5
STAGES = ("regression", "quality", "plan", "encode", "denoise", "decode")
METHOD_STAGES = ("quality", "plan")
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all measurements of a study have in common.

    repeats: runs per system and scene, each with noise of its own: figures are their means, times
    their medians. machine: recorded, because times of
    two machines must not be mixed.
    """

    engines: dict[str, Engine]
    systems: Sequence[System]
    machine: str
    seed: int = 0
    repeats: int = 1
    distances: Mapping[str, Distance] = field(default_factory=dict)
    rendered: Callable[[], None] = field(default=lambda: None)

    def settings(self, system: System) -> Settings:
        """What a system's record depends on; costs decide about tiles, and are predictions."""
        config = self.engines[system.name].config
        return {
            **engine_settings(self.engines[system.name]),
            "cost": config.cost.model_dump(mode="json"),
            "retry": config.engine.retry,
            "mode": system.mode,
            "quality": system.quality,
            "seed": self.seed,
            "other_noise": system.other_noise,
            "repeats": self.repeats,
            "machine": self.machine,
        }

    def noise_seed(self, scene: str, system: System, repeat: int) -> int:
        """All systems draw the same noise in the same repeat, but for those that must not."""
        return scene_seed(scene, self.seed + repeat + (self.repeats if system.other_noise else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One render: its times, its other figures, its report."""

    seconds: Measured
    figures: Measured
    report: Report


def request_seconds(result: RenderResult) -> Measured:
    """Seconds by stage and their sum, without loading and writing.

    The baselines are not charged for the scoring and planning that only the method needs;
    ``seconds_request`` is what was spent all the same, which is what was predicted.
    """
    seconds = result.report.seconds
    stages = {s: float(getattr(seconds, s)) for s in STAGES}
    spent = sum(stages.values())
    if result.report.mode in ("regression", "diffusion"):
        stages.update(dict.fromkeys(METHOD_STAGES, 0.0))
    return {
        **{f"seconds_{s}": v for s, v in stages.items()},
        "seconds": sum(stages.values()),
        "seconds_request": spent,
    }


def decision_figures(result: RenderResult) -> dict[str, float | None]:
    """What was decided and run, and what was predicted of it."""
    report = result.report
    frames = report.frames
    return {
        "score": float(torch.tensor([f.achieved_score for f in frames]).mean()),
        "frame_steps": float(report.counts.frame_steps),
        "mean_start": sum(f.start_step for f in frames) / len(frames),
        "served_as_is": sum(f.served == "regression" for f in frames) / len(frames),
        "mask_share": sum(f.mask_fraction for f in frames) / len(frames),
        "cache_bytes": float(report.cache_bytes_peak),
        "predicted_denoise": report.predicted_denoise_seconds,
        "predicted_request": report.predicted_seconds,
    }


def image_figures(
    result: RenderResult,
    embedder: Embedder | None,
    device: torch.device,
    distances: Mapping[str, Distance],
) -> dict[str, float | None]:
    """Figures of the images; those that need depth, truth or weights are absent without them."""
    coarse, scene, images = result.coarse, result.scene, result.images
    values: dict[str, float | None] = {"sharpness": float(sharpness(images).mean())}
    if coarse.depth is not None and len(images) > 1:
        drift = warped_difference(images, coarse.depth.cpu(), scene.targets.to(CPU))
        values["drift"] = _mean(drift)
        values["drift_worst"] = _worst(drift)
    if embedder is not None and len(images) > 1:
        features = feature_difference(images, embedder, device)
        values["feature_drift"] = _mean(features)
        values["feature_drift_worst"] = _worst(features)
    if scene.target_images is None:
        return values
    truth = scene.target_images.cpu()
    per_frame = psnr(images, truth)
    values["psnr"] = float(per_frame.mean())
    values["psnr_worst"] = float(per_frame.min())
    values["gms"] = float(gradient_similarity(images, truth).mean())
    if min(images.shape[-2:]) >= SMALLEST_SSIM_SIDE:
        values["ssim"] = float(ssim(images, truth).mean())
    for name, distance in distances.items():
        values[name] = float(distance(images, truth).mean())
    if coarse.opacity is not None:
        holes = coarse.opacity.cpu() < HOLE_OPACITY
        values["hole_share"] = float(holes.float().mean())
        values["hole_psnr"] = _pooled_psnr(images, truth, holes)
        values["hole_gms"] = _mean(gradient_similarity(images, truth, holes))
    return values


def warm_up(bench: Bench, settings: Mapping[str, Settings], scene: Scene) -> None:
    """Run every mode once, uncounted: kernels are compiled and memory is touched at first use.

    Diffusion with the fewest steps stands for all diffusion.
    """
    by_mode = {system.mode: system for system in bench.systems if system.name in settings}
    for system in by_mode.values():
        bench.engines[system.name].render(scene, mode=system.mode, quality=system.quality)


def measure_scene(
    bench: Bench, settings: Mapping[str, Settings], scene: Scene, name: str
) -> SceneRecord:
    """Render one scene by the systems of ``settings``, repeats interleaved, and measure them."""
    systems = [system for system in bench.systems if system.name in settings]
    runs: dict[str, list[Run]] = {system.name: [] for system in systems}
    for repeat in range(bench.repeats):
        # Turned by one each time, so that no system always runs in another's wake.
        turn = repeat % len(systems)
        for system in (*systems[turn:], *systems[:turn]):
            engine = bench.engines[system.name]
            result = engine.render(
                scene,
                mode=system.mode,
                quality=system.quality,
                seed=bench.noise_seed(name, system, repeat),
            )
            embedder, device = engine.components.embedder, engine.device
            images = image_figures(result, embedder, device, bench.distances)
            runs[system.name].append(
                Run(
                    seconds=request_seconds(result),
                    figures=known({**decision_figures(result), **images}),
                    report=result.report,
                )
            )
            bench.rendered()
    records = {key: _record(settings[key], own) for key, own in runs.items()}
    return SceneRecord(scene=name, systems=records)


def _record(settings: Settings, runs: Sequence[Run]) -> SystemRecord:
    """Mean figures and scores, median and least times, mean energy where every run has one.

    The least time of several runs is the steadiest: other load on a machine only adds to it.
    """
    reports = [run.report for run in runs]
    times = {key: median(run.seconds[key] for run in runs) for key in runs[0].seconds}
    figures = {
        key: fmean(run.figures[key] for run in runs)
        for key in runs[0].figures
        if all(key in run.figures for run in runs)
    }
    unmeasured = [report.energy_note for report in reports if report.energy_joules is None]
    joules = [report.energy_joules for report in reports if report.energy_joules is not None]
    values = {
        **figures,
        **times,
        "seconds_least": min(run.seconds["seconds"] for run in runs),
        "joules": None if unmeasured else fmean(joules),
    }
    by_target = zip(*(report.frames for report in reports), strict=True)
    return SystemRecord(
        settings=settings,
        values=known(values),
        starts=tuple(frame.start_step for frame in reports[0].frames),
        scores=tuple(fmean(f.achieved_score for f in frames) for frames in by_target),
        energy_note=unmeasured[0] if unmeasured else reports[0].energy_note,
    )


def evaluate(
    bench: Bench,
    scenes: Sequence[SceneSource],
    folder: Path,
    resumed: Callable[[int], None] = lambda renders: None,
    write: Callable[[Path, str], object] = write_whole,
) -> Iterator[SceneRecord]:
    """Measure what has no record yet, and yield every scene's record in order.

    Systems that an earlier run left out are added to a scene's file; settings that differ are
    refused before anything is rendered. resumed: called once, with the renders already recorded.
    write: puts the text of a record into its file, whole.

    Raises :class:`~sphinx_framework.errors.ConfigError` when the folder holds other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {system.name: bench.settings(system) for system in bench.systems}
    paths = [folder / f"{file_stem(name)}.json" for name, _ in scenes]
    recorded = {path: read_record(path) for path in paths if path.exists()}
    for path, record in recorded.items():
        files = fingerprint(record.scene)
        for name in settings.keys() & record.systems.keys():
            own = with_files(settings[name], files)
            refuse_other_settings(record.systems[name].settings, own, f"{path}, {name}")
    done = sum(len(settings.keys() & record.systems.keys()) for record in recorded.values())
    resumed(done * bench.repeats)
    warm = False
    for (name, load), path in zip(scenes, paths, strict=True):
        old = recorded[path].systems if path in recorded else {}
        missing = {key: value for key, value in settings.items() if key not in old}
        if not missing:
            yield recorded[path]
            continue
        files = fingerprint(name)
        missing = {key: with_files(value, files) for key, value in missing.items()}
        scene = load()
        if not warm:
            warm_up(bench, missing, scene)
            warm = True
        new = measure_scene(bench, missing, scene, name)
        record = SceneRecord(scene=name, systems={**old, **new.systems})
        write(path, record_text(record))
        yield record


def _mean(values: Tensor) -> float:
    finite = values[torch.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _worst(values: Tensor) -> float:
    finite = values[torch.isfinite(values)]
    return float(finite.max()) if len(finite) else float("nan")


def _pooled_psnr(images: Tensor, truth: Tensor, region: Tensor) -> float:
    """PSNR over all pixels of a region together; NaN when there is none."""
    squared = (images - truth).square().mean(1)[region]
    return (
        float(-10 * torch.log10(squared.mean().clamp(min=1e-10))) if len(squared) else float("nan")
    )
